// Live views and the device around an engine, from Swift.

import Foundation
import Sampan
import XCTest

final class ViewsTests: XCTestCase {
    func testATimelineAndAListFollowWhatIsSaidAndAMessageKeepsItsKey() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let engine = try scratch.engine("phone", url: service.url)
        let ann = try await engine.client("ann")
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben", name: "Boats")
        ).conversation
        let timeline = try await talk.timeline()
        let list = try await ann.conversationList()
        _ = try await talk.sendText(text: "hello from Swift")
        let echo = try await within { await timeline.states.first { !$0.items.isEmpty } }
        let key = try XCTUnwrap(echo?.items.first?.id)
        let shown = try await within { await list.states.first { $0.rows.first?.last != nil } }
        let row = try XCTUnwrap(shown?.rows.first)
        XCTAssertEqual(row.last?.words, "hello from Swift")
        XCTAssertEqual(row.unsent, 1)
        try ann.goOnline()
        let online = try await within {
            await ann.states.first { $0.link == .online && $0.outbox.waiting == 0 }
        }
        XCTAssertNotNil(online)
        let sent = try await within {
            await timeline.states.first { state in
                guard case .message(let message)? = state.items.last?.kind else { return false }
                return message.delivery == .sent
            }
        }
        XCTAssertEqual(sent?.items.last?.key, key)
        XCTAssertEqual(sent?.index(of: key), 0)
        timeline.end()
        let after = try await within { await timeline.states.first { _ in true } }
        XCTAssertNil(after, "a view that has ended has no states")
        try await engine.shutdown()
    }

    func testALoopOverStatesIsCancelledAndBeginsAgainWithoutALoss() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben")
        ).conversation
        let timeline = try await talk.timeline(options: TimelineOptions(page: 10))
        for _ in 0..<20 {
            let loop = Task { for await _ in timeline.states {} }
            loop.cancel()
            try await within { await loop.value }
        }
        for number in 0..<5 { _ = try await talk.sendText(text: "message \(number)") }
        let state = try await within { await timeline.states.first { $0.items.count == 5 } }
        XCTAssertEqual(Set(state?.items.map(\.id) ?? []).count, 5)
        try await engine.shutdown()
    }

    func testAFollowerPassesWordsOnOneAtATimeAndOfThoseThatWaitTheLastOneHolds() async throws {
        let followed = Recorded()
        let follower = SystemFollower(followed)
        let first = Task { await follower.hear(.background) }
        try await until { await followed.calls == ["pause"] }
        await follower.hear(.foreground)
        await follower.hear(.background)
        await follower.hear(.network(.lost))
        await follower.hear(.network(.back))
        await follower.hear(.foreground)
        let before = await followed.calls
        XCTAssertEqual(before, ["pause"])
        await followed.open()
        try await within { await first.value }
        let calls = await followed.calls
        XCTAssertEqual(calls, ["pause", "network back", "resume"])
    }
}

/// Writes down what it is asked for; its pause lasts until the gate opens.
private actor Recorded: Followed {
    private(set) var calls: [String] = []
    private var waiting: CheckedContinuation<Void, Never>?

    func pause() async throws {
        calls.append("pause")
        await withCheckedContinuation { waiting = $0 }
    }

    func resume() async throws { calls.append("resume") }

    func networkChanged(change: NetworkChange) async throws { calls.append("network \(change)") }

    func open() { waiting?.resume() }
}

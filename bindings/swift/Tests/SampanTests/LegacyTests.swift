// The caches that older SDKs left on a phone, taken over.

import Foundation
import Sampan
import XCTest

final class LegacyTests: XCTestCase {
    /// D06: each of the caches has five messages, a message that was never sent, and a row that nothing is made of.
    func testAnOldCacheIsCancelledTakenOverAndShowsNothingNewASecondTime() async throws {
        let kinds: [(String, LegacyKind)] = [
            ("java", .java), ("objective-c", .objectiveC), ("swift", .swift),
        ]
        let scratch = try Scratch()
        for (name, kind) in kinds {
            let file = caches.appendingPathComponent("\(name).sqlite")
            let before = try Data(contentsOf: file)
            let source = LegacySource(path: file, scope: .allConversations)
            let engine = try scratch.engine(name)
            let ann = try await engine.client("ann")
            let cancelled = LegacyWatch()
            cancelled.cancel()
            let nothing = try await ann.importLegacy(source: source, watch: cancelled)
            XCTAssertTrue(nothing.isCancelled, name)
            XCTAssertEqual(nothing.messages.stored + nothing.drafts.stored, 0, name)
            XCTAssertEqual(cancelled.progress().stored, 0, name)

            let watch = LegacyWatch()
            let report = try await ann.importLegacy(source: source, watch: watch)
            XCTAssertEqual(report.kind, kind)
            XCTAssertFalse(report.isCancelled, name)
            XCTAssertEqual(report.messages, counts(stored: 5), name)
            XCTAssertEqual(report.drafts, counts(stored: 1), name)
            XCTAssertEqual(report.rows, 8, name)
            XCTAssertEqual(report.left.count, 1, name)
            XCTAssertEqual(report.damage, [], name)
            let progress = watch.progress()
            XCTAssertEqual([progress.read, progress.toRead, progress.stored, progress.toStore], [8, 8, 6, 6], name)

            let talk = try ann.conversation(id: "tea")
            let title = try await talk.info().name
            XCTAssertEqual(title, "Tea")
            let timeline = try await talk.timeline()
            let shown = try await within {
                await timeline.states.first { messages(of: $0).count == 6 }
            }
            let all = messages(of: try XCTUnwrap(shown))
            XCTAssertEqual(
                all.map { words($0.content) },
                ["one", "two", "plain three", "vier, 四, four", nil, "never sent"], name)
            XCTAssertEqual(all.map { $0.reference?.id }, ["m1", "m2", "m3", "m4", "m5", nil], name)
            let waiting = try await ann.outbox()
            XCTAssertEqual(waiting.count, 1, name)
            guard case .failed? = waiting.first?.state else {
                return XCTFail("\(name): the draft is not sent by itself")
            }
            let unread = try await ann.unreadTotals()
            XCTAssertEqual(unread.all.conversations, 0, name)

            let again = try await ann.importLegacy(source: source)
            XCTAssertEqual(again.messages, counts(unchanged: 5), name)
            XCTAssertEqual(again.drafts, counts(unchanged: 1), name)
            let after = try await within { await timeline.states.first { _ in true } }
            XCTAssertEqual(messages(of: try XCTUnwrap(after)), all, name)
            XCTAssertEqual(try Data(contentsOf: file), before, "the cache is not changed")
            try await engine.shutdown()
        }
    }
}

/// The folder of the caches, beside this package.
private let caches = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("tests/fixtures/caches")

private func counts(stored: Int = 0, unchanged: Int = 0) -> LegacyCounts {
    LegacyCounts(stored: stored, merged: 0, unchanged: unchanged)
}

private func messages(of state: TimelineState) -> [Message] {
    state.items.compactMap { item in
        guard case .message(let message) = item.kind else { return nil }
        return message
    }
}

private func words(_ content: MessageContent) -> String? {
    switch content {
    case .text(let text, _): text
    case .plain(let text): text
    default: nil
    }
}

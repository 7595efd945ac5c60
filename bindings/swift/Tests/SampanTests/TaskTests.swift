// Tasks that are cancelled, and times.

import Foundation
import Sampan
import XCTest

final class TaskTests: XCTestCase {
    func testACallEndsWhenItsTaskIsCancelled() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        try ann.goOnline()
        // Nobody listens there, so the session never opens.
        let waiting = Task { try await ann.waitOnline() }
        await Task.yield()
        waiting.cancel()
        let outcome = try await within { await waiting.result }
        XCTAssertThrowsError(try outcome.get()) { XCTAssert($0 is CancellationError, "\($0)") }
        let unsent = try await ann.outbox()
        XCTAssertEqual(unsent, [], "everything else goes on")
        try await engine.shutdown()
    }

    func testCancellingACallThatIsEndingGivesItsResultOrSaysSo() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        for round in 0..<300 {
            let call = Task { try await ann.outbox() }
            if round % 2 == 0 { await Task.yield() }
            call.cancel()
            let outcome = try await within { await call.result }
            switch outcome {
            case .success(let unsent): XCTAssertEqual(unsent, [])
            case .failure(let error): XCTAssert(error is CancellationError, "\(error)")
            }
        }
        try await engine.shutdown()
    }

    func testTimesAreDatesAndComeBackAsTheyWere() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let created = try await ann.createConversation(conversation: NewConversation(with: "ben"))
        let sent = try await created.conversation.sendText(text: "now")
        XCTAssertLessThan(abs(sent.message.sentAt.timeIntervalSinceNow), 600)
        // Every millisecond has a date that leads back to it: a page begins where the last ended.
        for millis in Int64(1_700_000_000_000)..<1_700_000_001_000 {
            let date = Date(timeIntervalSince1970: Double(millis) / 1000)
            XCTAssertEqual(Int64((date.timeIntervalSince1970 * 1000).rounded()), millis)
        }
        try await created.conversation.markReadUntil(until: sent.message.sentAt)
        for strange in [Date.distantFuture, Date.distantPast, Date(timeIntervalSince1970: 1e300)] {
            try await created.conversation.markReadUntil(until: strange)
        }
        try await engine.shutdown()
    }
}

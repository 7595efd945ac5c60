// The interfaces that an app implements: a signer, and a sink for notes.

import Foundation
import Sampan
import SampanCore
import XCTest

final class CallbackTests: XCTestCase {
    func testASignerIsAskedWhenSomethingIsSentAndAgainAfterItThrew() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let engine = try scratch.engine("phone", url: service.url)
        let office = Office(failures: 1)
        let ann = try await engine.client(id: "ann", options: ClientOptions(signer: office))
        let created = try await ann.createConversation(conversation: NewConversation(with: "ben"))
        XCTAssertEqual(office.asked, [])
        try ann.goOnline()
        try await within { try await ann.waitOnline() }
        try await until { try await ann.outbox().isEmpty }
        let signIn = SigningRequest.signIn(client: "ann")
        let start = SigningRequest.startConversation(client: "ann", members: ["ann", "ben"])
        XCTAssertEqual(office.asked, [signIn, signIn, start])
        let info = try await created.conversation.info()
        XCTAssertEqual(info.members.sorted(), ["ann", "ben"])
        try await engine.shutdown()
    }

    func testASignatureThatIsWrongIsRefusedWithTheServicesNumber() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(
            data: scratch.folder.appendingPathComponent("service"),
            settings: #"{"swift":{"signatures":{"login":true}}}"#)
        let engine = try scratch.engine("phone", url: service.url)
        let options = ClientOptions(signer: Office(failures: 0))
        let ann = try await engine.client(id: "ann", options: options)
        try ann.goOnline()
        await XCTAssertThrowsErrorAsync(try await within { try await ann.waitOnline() }) { error in
            guard case .refused(refusal: .signature, code: 4102, reason: _) = error else {
                return XCTFail("\(error)")
            }
        }
        try await engine.shutdown()
    }

    func testNotesReachTheAppsSinkAndHoldNoSecrets() async throws {
        let scratch = try Scratch()
        let notes = Notes()
        try setLogSink(sink: notes, level: .debug)
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let created = try await ann.createConversation(conversation: NewConversation(with: "ben"))
        _ = try await created.conversation.sendText(text: "nobody else's business")
        try ann.goOnline()
        // Nobody listens there, which is worth a note, and a reason that can be asked for.
        try await until { notes.taken.contains { $0.level == .warn } }
        for note in notes.taken {
            XCTAssert(note.target.hasPrefix("sampan"), note.target)
            XCTAssertFalse(note.text.contains("swift-key"), note.text)
            XCTAssertFalse(note.text.contains("business"), note.text)
        }
        guard case .unreachable = engine.connectionFailure() else {
            return XCTFail("\(String(describing: engine.connectionFailure()))")
        }
        try await engine.shutdown()
    }
}

/// The app's own server: it throws as often as it was told to, then signs anything.
private final class Office: Signer, @unchecked Sendable {
    private let lock = NSLock()
    private var failures: Int
    private var operations: [SigningRequest] = []

    init(failures: Int) {
        self.failures = failures
    }

    var asked: [SigningRequest] { lock.withLock { operations } }

    func sign(request: SigningRequest) async throws -> OperationSignature {
        let fails = lock.withLock {
            operations.append(request)
            failures -= 1
            return failures >= 0
        }
        if fails { throw CocoaError(.featureUnsupported) }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        let signature = String(repeating: "0", count: 40)
        return OperationSignature(
            signature: HiddenText(signature), timestamp: now, nonce: "n")
    }
}

/// Keeps the notes; throws each time, which nobody hears of.
private final class Notes: LogSink, @unchecked Sendable {
    private let lock = NSLock()
    private var records: [LogRecord] = []

    var taken: [LogRecord] { lock.withLock { records } }

    func log(records: [LogRecord], dropped: Int) throws {
        lock.withLock { self.records += records }
        throw CocoaError(.featureUnsupported)
    }
}

// The engine from Swift, against a real service.

import Foundation
import Sampan
import XCTest

final class ChatTests: XCTestCase {
    func testWhatOneClientSendsAnotherReceivesAndReads() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let phone = try scratch.engine("phone", url: service.url)
        let laptop = try scratch.engine("laptop", url: service.url)
        let ann = try await online(phone, "ann")
        let ben = try await online(laptop, "ben")
        let told = Task { await ben.events.first(where: { words($0) == "hello from Swift" }) }

        let created = try await ann.createConversation(
            conversation: NewConversation(with: "ben", name: "Boats"))
        let sent = try await created.conversation.sendText(text: "hello from Swift")
        guard case .waiting = sent.message.delivery else { return XCTFail("\(sent)") }
        try await within { while try await !ann.outbox().isEmpty { await Task.yield() } }
        // The subscription may have begun after the message came: then the message is in the store. A message may
        // come before its conversation's name: the service is asked for the name then.
        let list = try await ben.conversationList()
        let found = try await within {
            var rows = ListState()
            while let update = try await list.next(have: rows.version) {
                rows.apply(update)
                if let row = rows.rows.first, row.unread.count == 1, row.name != nil { return row }
            }
            throw CancellationError()
        }
        XCTAssertEqual(found.name, "Boats")
        let talk = try ben.conversation(id: found.conversation)
        let shown = try await talk.timeline().next(have: 0)
        guard case .reset(let items)? = shown?.edits.first else { return XCTFail("\(shown as Any)") }
        XCTAssertEqual(items.compactMap(words), ["hello from Swift"])
        try await talk.markRead()
        let unread = try await ben.unreadTotals().all.messages
        XCTAssertEqual(unread, 0)
        // The event was told, unless the subscription began after it: then the next one is.
        _ = try await created.conversation.sendText(text: "hello from Swift")
        let event = try await within { await told.value }
        XCTAssertEqual(event.flatMap(words), "hello from Swift")

        try await phone.shutdown()
        try await laptop.shutdown()
        await XCTAssertThrowsErrorAsync(try await ann.outbox()) { XCTAssertEqual($0, .shutDown) }
    }

    func testEventsComeOneByOneAndInOrder() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        var events = ann.events.makeAsyncIterator()
        let created = try await ann.createConversation(conversation: NewConversation(with: "ben"))
        for number in 1...3 {
            _ = try await created.conversation.sendText(text: "message \(number)")
        }
        var heard: [String] = []
        while heard.count < 3, let event = await events.next() {
            words(event).map { heard.append($0) }
        }
        XCTAssertEqual(heard, ["message 1", "message 2", "message 3"])
        try await engine.shutdown()
    }

    func testALoopOverEventsEndsWhenItsTaskIsCancelled() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let loop = Task { for await _ in ann.events {} }
        loop.cancel()
        try await within { await loop.value }
        try await engine.shutdown()
    }

    func testAnObserverThatThrowsIsCalledAgain() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let notebook = Notebook()
        let subscription = try ann.observe(observer: notebook)
        let created = try await ann.createConversation(conversation: NewConversation(with: "ben"))
        for text in ["one", "two"] {
            _ = try await created.conversation.sendText(text: text)
            try await within {
                while !notebook.heard.contains(text) {
                    try await Task.sleep(nanoseconds: 5_000_000)
                }
            }
        }
        subscription.cancel()
        try await engine.shutdown()
    }

    // D09: work that an extension leaves is unsent work of the app.
    func testWhatAnExtensionLeftIsInTheOutboxWhenTheClientOpens() async throws {
        let scratch = try Scratch()
        let inbox = scratch.folder.appendingPathComponent("inbox")
        var config = scratch.config("phone")
        config.inboxFolder = inbox
        config.diskBudget = 64 << 20
        let left = try ExtensionInbox.open(
            folder: inbox, appId: config.appId, client: "ann", storeKey: nil)
        let talk = "5a0000000000000000000000"
        let localId = try left.sendText(conversation: talk, text: "from an extension")
        let engine = try Engine.open(config: config)
        let ann = try await engine.client("ann")
        let waiting = try await ann.outbox()
        XCTAssertEqual(waiting.map(\.localId), [localId])
        XCTAssertEqual(ann.inboxReport().imported, 1)
        let found = try await ann.importInbox()
        XCTAssertEqual(found.imported, 0)
        try await ann.compact()
        let usage = try await ann.storageUsage()
        XCTAssertEqual(usage.unsent, 1)
        XCTAssertEqual(usage.budgetBytes, config.diskBudget)
        try await engine.shutdown()
    }

    func testAConfigurationHasDefaultsAndShowsNoSecret() throws {
        let root = URL(fileURLWithPath: "/nowhere")
        let server = ServerAddress.router(url: "http://x.invalid")
        let config = Config(
            appId: "swift", appKey: "hush-hush-key", server: server, storeRoot: root)
        XCTAssertEqual(config.limits, hostedLimits())
        XCTAssertEqual([config.cacheBytes, config.fileCacheBytes], [16 << 20, 256 << 20])
        XCTAssertEqual(config.legacyFileFolders, [])
        XCTAssertEqual(config.offlineMode, .unread)
        XCTAssertEqual(config.payload, .binary)
        XCTAssertEqual(config.insecure, .loopbackOnly)
        XCTAssertEqual(config.trust, .web)
        XCTAssertEqual(config.appKey.reveal, "hush-hush-key")
        let options = ClientOptions(storeKey: "hush-hush-store")
        let signature = OperationSignature(
            signature: "hush-hush-signature", timestamp: 0, nonce: "n")
        let secrets: [Any] = [config, options, signature]
        for secret in secrets {
            var dumped = ""
            dump(secret, to: &dumped)
            for shown in ["\(secret)", String(reflecting: secret), dumped] {
                XCTAssert(shown.contains("hidden"), shown)
                XCTAssertFalse(shown.contains("hush-hush"), shown)
            }
        }
    }

    func testHandlesOfTheSameAreEqualAndAreFoundInAMap() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let again = try await engine.client("ann")
        XCTAssertEqual(ann, again)
        XCTAssertEqual(String(reflecting: again), "Client(ann)")
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben")
        ).conversation
        let twin = try again.conversation(id: talk.conversationId())
        XCTAssertEqual([talk: "draft"][twin], "draft")
        try await engine.shutdown()
    }

    func testErrorsHaveTheirOwnCasesAndSayWhatIsWrong() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        await XCTAssertThrowsErrorAsync(try await engine.client("")) { error in
            XCTAssertEqual(
                error.localizedDescription,
                "invalid argument: a client id must be 1 to 64 characters long, got 0")
        }
        XCTAssertThrowsError(
            try Engine.open(
                config: Config(
                    appId: "", appKey: "key", server: .router(url: "http://x.invalid"),
                    storeRoot: scratch.folder)))
        let ann = try await engine.client("ann")
        let unknown = "5a0000000000000000000000"
        await XCTAssertThrowsErrorAsync(try await ann.conversation(id: unknown).info()) {
            XCTAssertEqual($0, .notFound(what: .conversation))
            XCTAssertFalse($0.isRetryable())
        }
        await XCTAssertThrowsErrorAsync(try await ann.fetchConversation(id: unknown)) {
            XCTAssertEqual($0, .notConnected)
        }
        let desk = ClientOptions(tag: "desk")
        await XCTAssertThrowsErrorAsync(try await engine.client(id: "ann", options: desk)) {
            XCTAssertEqual($0, .tagMismatch)
        }
        try await engine.shutdown()
    }
}

/// Writes down the words it is told, and throws each time.
private final class Notebook: EventObserver, @unchecked Sendable {
    private let lock = NSLock()
    private var texts: [String] = []

    var heard: [String] { lock.withLock { texts } }

    func onEvents(events: [Event]) throws {
        lock.withLock { texts += events.compactMap(words) }
        throw CocoaError(.featureUnsupported)
    }
}

func online(_ engine: Engine, _ name: String) async throws -> Client {
    let client = try await engine.client(name)
    try client.goOnline()
    try await within { try await client.waitOnline() }
    return client
}

private func words(_ event: Event) -> String? {
    guard case .messageAdded(_, _, let message) = event else { return nil }
    return words(message.content)
}

private func words(_ item: TimelineItem) -> String? {
    guard case .message(let message) = item.kind else { return nil }
    return words(message.content)
}

private func words(_ content: MessageContent) -> String? {
    guard case .text(let text, _) = content else { return nil }
    return text
}

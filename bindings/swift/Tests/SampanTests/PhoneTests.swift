// An app on a phone beside chatting: pushes, presence, plug-ins, files that come down, rooms.

import Foundation
import Sampan
import XCTest

final class PhoneTests: XCTestCase {
    func testAPushIsReadAndItsMessageCountsOnce() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let inbox = scratch.folder.appendingPathComponent("inbox")
        var config = scratch.config("phone", url: service.url)
        config.inboxFolder = inbox
        let phone = try Engine.open(config: config)
        let laptop = try scratch.engine("laptop", url: service.url)
        let (ann, ben) = (try await online(phone, "ann"), try await online(laptop, "ben"))
        let talk = try await ben.createConversation(
            conversation: NewConversation(with: "ann")
        ).conversation
        try await talk.sendText(text: "one")
        try await until { ann.state().unread.all.messages == 1 }
        try await until { try await ben.outbox().isEmpty }
        try await phone.pause()
        let left = try ExtensionInbox.open(
            folder: inbox, appId: config.appId, client: "ann", storeKey: nil)
        XCTAssertEqual(try left.unread().unmuted.messages, 1)
        let id = try await talk.info().id
        XCTAssertEqual(try left.glance(conversation: id)?.peer, "ben")
        let later = Int(Date().timeIntervalSince1970 * 1000) + 60_000
        let payload =
            #"{"convId":"\#(id)","fromClientId":"ben","timestamp":\#(later),"messageId":"m2"}"#
        let hint = try XCTUnwrap(try readPush(payload: payload))
        XCTAssertEqual(hint.sender, "ben")
        XCTAssertEqual(try left.arrived(hint: hint).unmuted.messages, 2)
        XCTAssertEqual(try left.arrived(hint: hint).unmuted.messages, 2, "the same push again")
        XCTAssertNil(try readPush(payload: #"{"aps":{"alert":"another app's"}}"#))
        try await phone.shutdown()
        let device = PushDevice(platform: .ios, token: "token")
        await XCTAssertThrowsErrorAsync(try await ann.registerPush(device: device)) {
            XCTAssertEqual($0, .shutDown)
        }
        try await laptop.shutdown()
    }

    func testWhoIsOnlineIsAskedAndWatched() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let phone = try scratch.engine("phone", url: service.url)
        let laptop = try scratch.engine("laptop", url: service.url)
        let (ann, ben) = (try await online(phone, "ann"), try await online(laptop, "ben"))
        let found = try await ann.onlineOf(clients: [ben.clientId(), "cat"])
        XCTAssertEqual(found, ["ben"])
        try await ann.watch(clients: ["ben"])
        let watched = try await ann.watched()
        XCTAssertEqual(watched.map(\.client), ["ben"])
        try await ann.unwatch(clients: ["ben"])
        let none = try await ann.watched()
        XCTAssertEqual(none, [])
        try await phone.shutdown()
        try await laptop.shutdown()
    }

    func testAPlugInReadsAndChangesWhatArrives() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let marker = Marker()
        let phone = try Engine.openWithPlugins(
            config: scratch.config("phone", url: service.url), plugins: [marker])
        let laptop = try scratch.engine("laptop", url: service.url)
        let (ann, ben) = (try await online(phone, "ann"), try await online(laptop, "ben"))
        let talk = try await ben.createConversation(
            conversation: NewConversation(with: "ann")
        ).conversation
        try await talk.sendText(text: "tea")
        let list = try await ann.conversationList()
        let shown = try await within { await list.states.first { $0.rows.first?.last != nil } }
        XCTAssertEqual(shown?.rows.first?.last?.words, "tea, marked")
        XCTAssertEqual(marker.clients, ["ann"])
        try await phone.shutdown()
        try await laptop.shutdown()
    }

    /// S325: the kinds that a plug-in brings are registered with it; a plug-in without kinds brings none.
    func testTheKindsThatAPlugInBringsComeToItsHandlersAsItsOwnValues() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let dice = Dice()
        let plugins: [any EnginePlugin] = [dice, Marker()]
        let phone = try Engine.openWithPlugins(
            config: scratch.config("phone", url: service.url), plugins: plugins)
        let laptop = try scratch.engine("laptop", url: service.url)
        let (ann, ben) = (try await online(phone, "ann"), try await online(laptop, "ben"))
        let others = Numbers()
        var handlers = MessageHandlers(plugins: plugins)
        handlers.otherwise { others.note($0.content.number ?? 0) }
        let feed = ann.feed(only: [.messageAdded])
        let talk = try await ben.createConversation(
            conversation: NewConversation(with: "ann")
        ).conversation
        try await talk.send(message: NewMessage(content: MessageContent(Throw(points: 6))))
        try await talk.sendText(text: "lucky")
        var last = 0
        while others.all.isEmpty || dice.thrown.all.isEmpty {
            let next = try await feed.next(after: last)
            let batch = try XCTUnwrap(next)
            last = batch.last
            for case .messageAdded(_, _, let message) in batch.events {
                try await handlers.handle(message)
            }
        }
        XCTAssertEqual(dice.thrown.all, [6])
        XCTAssertEqual(others.all, [-1])
        try await phone.shutdown()
        try await laptop.shutdown()
    }

    func testAFileThatIsNowhereEndsItsDownload() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let gone = try ann.download(file: MediaFile(url: "http://127.0.0.1:9/none.png"))
        let last = try await within {
            await gone.states.first { if case .failed = $0.phase { true } else { false } }
        }
        XCTAssertNotNil(last)
        await XCTAssertThrowsErrorAsync(try await gone.file()) { _ in }
        gone.cancel()
        try await engine.shutdown()
    }

    func testARoomShowsWhatWasSaidBeforeOneCameIn() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let phone = try scratch.engine("phone", url: service.url)
        let laptop = try scratch.engine("laptop", url: service.url)
        let (ann, ben) = (try await online(phone, "ann"), try await online(laptop, "ben"))
        let room = try await ann.createConversation(
            conversation: NewConversation(kind: .chatRoom, name: "Hall")
        ).conversation
        try await room.sendText(text: "before")
        try await until { try await ann.outbox().isEmpty }
        let bens = try await ben.join(id: try await room.info().id)
        try await until { try await ben.outbox().isEmpty }
        let new = try await bens.fetchNewest(limit: 10)
        XCTAssertGreaterThanOrEqual(new, 1)
        let inside = try await bens.inside(limit: 10)
        XCTAssert(inside.contains("ben"), "\(inside)")
        try await phone.shutdown()
        try await laptop.shutdown()
    }
}

/// Numbers that were noted, in order.
private final class Numbers: @unchecked Sendable {
    private let lock = NSLock()
    private var noted: [Int32] = []

    var all: [Int32] { lock.withLock { noted } }

    func note(_ number: Int32) { lock.withLock { noted.append(number) } }
}

/// The throw of a die.
private struct Throw: MessageKind {
    static let number: Int32 = 9
    let points: Int32
}

/// Brings a kind of message.
private final class Dice: KindPlugin, @unchecked Sendable {
    let thrown = Numbers()

    func register(in handlers: inout MessageHandlers) {
        handlers.on(Throw.self) { [thrown] value, _ in thrown.note(value.points) }
    }

    func name() -> String { "dice" }

    func engineCreated(engine: Engine) throws {}

    func clientCreated(client: Client) throws {}

    func conversationCreated(conversation: Conversation) throws {}

    func beforeParse(payload: Json) async throws -> Json { payload }

    func afterParse(message: ParsedMessage) async throws -> MessageContent { message.content }
}

/// Puts a mark behind each text.
private final class Marker: EnginePlugin, @unchecked Sendable {
    private let lock = NSLock()
    private var seen: [ClientId] = []

    var clients: [ClientId] { lock.withLock { seen } }

    func name() -> String { "marker" }

    func engineCreated(engine: Engine) throws {}

    func clientCreated(client: Client) throws {
        lock.withLock { seen.append(client.clientId()) }
    }

    func conversationCreated(conversation: Conversation) throws {}

    func beforeParse(payload: Json) async throws -> Json { payload }

    func afterParse(message: ParsedMessage) async throws -> MessageContent {
        guard case .text(let text, let details) = message.content else { return message.content }
        return .text(text: text + ", marked", details: details)
    }
}

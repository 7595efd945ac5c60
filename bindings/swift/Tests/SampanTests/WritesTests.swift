// The writes of an app, each with its effect on the other device.

import Foundation
import Sampan
import XCTest

/// Ann on one device, Ben on another, and a conversation that both have.
private struct Pair: Sendable {
    let ann: Client
    let ben: Client
    let talk: Conversation
    let bens: Conversation
}

final class WritesTests: XCTestCase {
    func testAnEditAndARecallShowOnTheOtherDevice() async throws {
        try await pair { pair in
            let (mine, theirs) = (try await pair.talk.timeline(), try await pair.bens.timeline())
            _ = try await pair.talk.sendText(text: "one")
            _ = try await pair.talk.sendText(text: "two")
            let (first, second) = (try await mine.shows("one"), try await mine.shows("two"))
            _ = try await theirs.shows("two")
            try await pair.talk.edit(
                message: first.key, content: .text(text: "one, mended", details: Details()))
            let mended = try await theirs.shows("one, mended")
            XCTAssertNotNil(mended.editedAt)
            try await pair.talk.recall(message: second.key)
            try await theirs.shows { $0.items.contains { $0.message?.content.isRecalled == true } }
            try await until { try await pair.ann.outbox().isEmpty }
            let stored = try await pair.talk.message(key: first.key)
            XCTAssertEqual(stored.message?.content.words, "one, mended")
            XCTAssertNil(stored.message?.change)
            let reference = try XCTUnwrap(stored.message?.reference)
            XCTAssertEqual(try parseMessageLink(link: reference.link()), reference)
            let answer = try await pair.talk.sendText(text: "three", replyTo: first.key)
            XCTAssertEqual(answer.message.replyTo?.message, first.key)
            let info = try await pair.talk.info()
            XCTAssertGreaterThanOrEqual(info.seq, answer.seq)
            XCTAssertGreaterThanOrEqual(pair.ann.state().seq, answer.seq)
            let read = try await pair.talk.message(key: answer.message.key)
            XCTAssertGreaterThanOrEqual(read.seq, answer.seq)
        }
    }

    func testANameAttributesAndMembersChangeForAll() async throws {
        try await pair { pair in
            try await pair.talk.setName(name: "Ships")
            try await pair.talk.setAttributes(changes: #"{"topic":"rigging"}"#)
            try await pair.talk.addMembers(members: ["cat"])
            try await until {
                let info = try await pair.bens.info()
                return info.name == "Ships" && info.attributes != nil && info.members.contains("cat")
            }
            try await pair.talk.removeMembers(members: ["cat"])
            try await until { try await !pair.bens.info().members.contains("cat") }
            try await pair.bens.quit()
            let left = try await pair.bens.info().state
            XCTAssertEqual(left, .left)
            try await until { try await !pair.talk.info().members.contains("ben") }
            let again = try await pair.ben.join(id: pair.bens.conversationId())
            let state = try await again.info().state
            XCTAssertEqual(state, .live)
            try await until { try await pair.talk.info().members.contains("ben") }
        }
    }

    func testMutingPinningAndHidingAreThisClientsAlone() async throws {
        try await pair { pair in
            try await pair.talk.setMuted(muted: true)
            try await pair.talk.setPinned(pinned: true)
            let list = try await pair.ann.conversationList()
            let state = try await within {
                await list.states.first { $0.rows.contains { $0.muted && $0.pinned } }
            }
            XCTAssertEqual(state?.rows.map(\.name), ["Boats"])
            try await pair.talk.setHidden(hidden: true)
            _ = try await within { await list.states.first { $0.rows.isEmpty } }
            let other = try await pair.bens.info()
            XCTAssertFalse(other.muted)
        }
    }

    func testMarksOfSeveralConversationsAreOneCallAndTypingIsSeen() async throws {
        try await pair { pair in
            let theirs = try await pair.bens.timeline(options: TimelineOptions(readVisible: false))
            pair.talk.setTyping(typing: true)
            try await theirs.shows { $0.typing == ["ann"] }
            pair.talk.setTyping(typing: false)
            _ = try await pair.talk.sendText(text: "read me")
            _ = try await theirs.shows("read me")
            try await until { try await pair.ben.unreadTotals().all.messages == 1 }
            try await pair.ben.markAllRead(conversations: [pair.bens.conversationId()])
            let unread = try await pair.ben.unreadTotals().all.messages
            XCTAssertEqual(unread, 0)
            try await until { try await pair.ben.outbox().isEmpty }
            try await pair.talk.fetchReceipts()
        }
    }

    func testSendOptionsMakeACallThatIsRepeatedSendOnce() async throws {
        try await pair { pair in
            let text = MessageContent.text(text: "once", details: Details())
            let once = NewMessage(content: text, options: SendOptions(localId: "app-1"))
            let feed = pair.talk.feed(only: [.messageAdded])
            let sent = try await pair.talk.send(message: once)
            let told = try await feed.next(after: 0, limit: 10)
            XCTAssertEqual(told?.events.count, 1)
            let newest = try await pair.ann.commitSeq()
            XCTAssertGreaterThanOrEqual(newest, sent.seq)
            let again = try await pair.talk.send(message: once)
            XCTAssertEqual(sent.message.localId, again.message.localId)
            let stored = try await pair.talk.message(key: sent.message.key)
            XCTAssertEqual(stored.message?.content.words, "once")
            let wave = NewMessage(
                content: .plain(text: "wave"), options: SendOptions(transient: true, priority: .high))
            let waved = try await pair.talk.send(message: wave)
            XCTAssertNil(waved.entry)
            _ = try await pair.talk.send(
                message: NewMessage(content: .plain(text: "gone"), options: SendOptions(will: true)))
            let window = try await pair.talk.timeline()
            let items = await window.states.first { _ in true }?.items ?? []
            XCTAssertEqual(items.count, 1, "neither is in the timeline")
        }
    }

    func testAMessageThatCouldNotBeMadeReadyIsKeptSentAgainAndRemoved() async throws {
        try await pair { pair in
            let (mine, theirs) = (try await pair.talk.timeline(), try await pair.bens.timeline())
            let message = NewMessage(content: .text(text: "with a file", details: Details()))
            _ = try await pair.talk.keepFailed(message: message, reason: "the file is gone")
            let failed = try await mine.shows("with a file")
            XCTAssertEqual(failed.failure, .unsendable(reason: "the file is gone"))
            try await pair.talk.retry(message: failed.key)
            _ = try await theirs.shows("with a file")
            try await mine.shows { $0.items.last?.message?.reference != nil }
            try await pair.talk.remove(message: failed.key)
            try await mine.shows { state in !state.items.contains { $0.message?.key == failed.key } }
            let gone = try await pair.talk.message(key: failed.key)
            XCTAssertNil(gone.message)
        }
    }

    func testAFileOnTheWebAndOneOfBytesArriveAndHistoryIsAskedForByKind() async throws {
        try await pair { pair in
            let theirs = try await pair.bens.timeline()
            let web = NewMedia(
                source: .url(url: "https://x.invalid/a.png"), kind: .image, caption: "on the web")
            try await pair.talk.sendMedia(media: web)
            let picture = try await theirs.shows("on the web")
            XCTAssertEqual(picture.content.file?.url, "https://x.invalid/a.png")
            let own = NewMedia(
                source: .bytes(data: Data("hello".utf8)), kind: .file, name: "a.txt", caption: "of bytes")
            try await pair.talk.sendMedia(media: own)
            let sent = try await theirs.shows("of bytes")
            XCTAssertEqual(sent.content.file?.url.hasPrefix("http"), true)
            let images = try await pair.bens.queryHistory(query: HistoryQuery(contentType: -2))
            XCTAssertEqual(images.map(\.content.words), ["on the web"])
        }
    }

    func testWhatAPushBroughtIsKeptUntilHistoryHasIt() async throws {
        try await pair { pair in
            let id = try await pair.talk.info().id
            let at = Date(timeIntervalSince1970: 1_700_000_000)
            try await pair.talk.keep(
                message: ForeignMessage(
                    conversation: id, id: "push-message-0001", sender: "ben", sentAt: at,
                    content: .text(text: "from a push", details: Details())))
            let mine = try await pair.talk.timeline(options: TimelineOptions(fillVisible: false))
            _ = try await mine.shows("from a push")
        }
    }

    func testAnEntryOfTheOutboxIsTriedAgainOrGivenUp() async throws {
        try await pair { pair in
            try pair.ann.goOffline()
            let sent = try await pair.talk.sendText(text: "never mind")
            let entry = try XCTUnwrap(sent.entry)
            await XCTAssertThrowsErrorAsync(try await pair.ann.retry(entry: entry)) {
                XCTAssertEqual($0, .notPossible(obstacle: .hasNotFailed))
            }
            try await pair.ann.discard(entry: entry)
            let unsent = try await pair.ann.outbox()
            XCTAssertEqual(unsent, [])
            try pair.talk.setDraft(draft: Draft(text: "half a thou"))
            try await until { try await pair.talk.draft()?.text == "half a thou" }
        }
    }

    func testAnAccountIsEncryptedWithAnotherKeySignedOutAndWiped() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let old = HiddenText(String(repeating: "0", count: 64))
        let new = HiddenText(String(repeating: "1", count: 64))
        let ann = try await engine.client(id: "ann", options: ClientOptions(storeKey: old))
        XCTAssertEqual(ann.clientId(), "ann")
        XCTAssert(ann.openReport().created)
        XCTAssertEqual(ann.openReport().lost, .nothing)
        XCTAssertEqual(ann.storeHealth(), .good)
        XCTAssertEqual(ann.sessionState(), .closed)
        XCTAssertEqual(engine.connectionState(), .idle)
        let direct = try await ann.direct(peer: "ben")
        let again = try await ann.direct(peer: "ben")
        XCTAssertEqual(direct, again)
        await XCTAssertThrowsErrorAsync(try await ann.signOut(data: .wipe, unsent: .refuse)) {
            XCTAssertEqual($0, .unsent(count: 1))
        }
        let brought = try await ann.refresh(within: 0.02)
        XCTAssertFalse(brought.complete)
        try await ann.changeStoreKey(old: old, new: new)
        let account = try await XCTUnwrapAsync(try await engine.accounts().first)
        XCTAssert(account.isEncrypted)
        XCTAssertEqual(account.unsent, 1)
        await XCTAssertThrowsErrorAsync(try await engine.wipeAccount(folder: account.folder)) {
            guard case .storeInUse = $0 else { return XCTFail("\($0)") }
        }
        try await ann.signOut(data: .keep, unsent: .keepIt)
        let closed = try await XCTUnwrapAsync(try await engine.accounts().first)
        XCTAssertNil(closed.unsent)
        await XCTAssertThrowsErrorAsync(try await ann.outbox()) { XCTAssertEqual($0, .signedOut) }
        try await engine.wipeAccount(folder: account.folder)
        let left = try await engine.accounts()
        XCTAssertEqual(left, [])
        try await engine.shutdown()
    }

    func testHistoryThatANewDeviceLacksIsReadInPages() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let phone = try scratch.engine("phone", url: service.url)
        var config = scratch.config("laptop", url: service.url)
        config.limits.catchUpMax = 5
        let laptop = try Engine.open(config: config)
        let ann = try await online(phone, "ann")
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben")
        ).conversation
        for number in 0..<30 { _ = try await talk.sendText(text: "message \(number)") }
        try await until { try await ann.outbox().isEmpty }
        let ben = try await online(laptop, "ben")
        let state = ben.state()
        let newer = try await within { try await ben.nextState(have: state.version - 1) }
        XCTAssertNotNil(newer)
        let bens = try await ben.fetchConversation(id: try await talk.info().id)
        let window = try await bens.timeline(options: TimelineOptions(page: 50, fillVisible: false))
        let shown = try await within { await window.states.first { !$0.items.isEmpty } }
        let hole = shown?.items.first { if case .gap = $0.kind { true } else { false } }
        if let hole { _ = try await window.fill(gap: hole.key) }
        try await within {
            while await window.states.first(where: { _ in true })?.older != .end {
                _ = try await window.loadOlder(limit: 20)
            }
        }
        let all = await window.states.first { _ in true }
        XCTAssertEqual(all?.items.first?.message?.content.words, "message 0")
        try await window.jump(to: .newest)
        _ = try await window.loadNewer(limit: 5)
        let last = try XCTUnwrap(all?.items.last)
        try window.seen(first: last.key, last: last.key)
        try await phone.shutdown()
        try await laptop.shutdown()
    }

    func testAnOldCacheThatIsNotThereIsToldByItsKind() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let watch = LegacyWatch()
        let source = LegacySource(
            path: scratch.folder.appendingPathComponent("no.db"), scope: .allConversations)
        await XCTAssertThrowsErrorAsync(try await ann.importLegacy(source: source, watch: watch)) {
            XCTAssertEqual($0, .notFound(what: .legacyCache))
        }
        XCTAssertEqual(watch.progress().stored, 0)
        watch.cancel()
        XCTAssertFalse(libraryVersion().isEmpty)
        XCTAssertLessThan(hostedLimits().sendsPerMinute, selfHostedLimits().sendsPerMinute)
        try await engine.networkChanged(change: .switched)
        try await engine.pause()
        try await engine.resume()
        try await engine.shutdown()
    }

    /// S171, S316: a registered kind comes to its handlers as its own value, everything else to those of others.
    func testAKindThatTheAppRegistersComesToItsHandlersAsItsOwnValue() async throws {
        try await pair { pair in
            let heard = Heard()
            var handlers = MessageHandlers()
            handlers.on(Dish.self) { dish, message in
                await heard.note("\(message.sender) cooks \(dish.name)")
            }
            handlers.on(Dish.self) { dish, _ in await heard.note("again \(dish.name)") }
            let text = try XCTUnwrap(MessageContent.text(text: "", details: Details()).number)
            handlers.on(number: text) { await heard.note("says \($0.content.words ?? "")") }
            handlers.otherwise { await heard.note("other \($0.content.number ?? 0)") }
            let feed = pair.ben.feed(only: [.messageAdded])
            try await pair.talk.send(message: NewMessage(content: MessageContent(Dish(name: "soup"))))
            try await pair.talk.sendText(text: "tea")
            try await pair.talk.send(message: NewMessage(content: .custom(kind: 8, envelope: "{}")))
            try await pair.talk.send(message: NewMessage(content: .plain(text: "plain")))
            var last = 0
            while await heard.notes.count < 5 {
                let next = try await feed.next(after: last)
                let batch = try XCTUnwrap(next)
                last = batch.last
                for case .messageAdded(_, _, let message) in batch.events {
                    try await handlers.handle(message)
                }
            }
            let notes = await heard.notes
            XCTAssertEqual(notes, ["ann cooks soup", "again soup", "says tea", "other 8", "other 0"])
        }
    }

    private func pair(_ test: @escaping @Sendable (Pair) async throws -> Void) async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let phone = try scratch.engine("phone", url: service.url)
        let laptop = try scratch.engine("laptop", url: service.url)
        let (ann, ben) = (try await online(phone, "ann"), try await online(laptop, "ben"))
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben", name: "Boats")
        ).conversation
        let list = try await ben.conversationList()
        try await until {
            let rows = await list.states.first { _ in true }?.rows ?? []
            return try await ann.outbox().isEmpty && !rows.isEmpty
        }
        let bens = try ben.conversation(id: try await talk.info().id)
        try await within { try await test(Pair(ann: ann, ben: ben, talk: talk, bens: bens)) }
        try await phone.shutdown()
        try await laptop.shutdown()
    }
}

extension Timeline {
    /// The newest message with these words, as soon as the timeline has one.
    fileprivate func shows(_ words: String) async throws -> Message {
        let state = try await within { [self] in
            await states.first { $0.items.contains { $0.message?.content.words == words } }
        }
        return try XCTUnwrap(state?.items.compactMap(\.message).last { $0.content.words == words })
    }

    /// Waits for a state.
    fileprivate func shows(_ holds: @escaping @Sendable (TimelineState) -> Bool) async throws {
        let state = try await within { [self] in await states.first(where: holds) }
        XCTAssertNotNil(state)
    }
}

private func XCTUnwrapAsync<Value>(_ value: @autoclosure () async throws -> Value?) async throws -> Value {
    let found = try await value()
    return try XCTUnwrap(found)
}

/// A kind of message of this app's own.
private struct Dish: MessageKind {
    static let number: Int32 = 7
    let name: String
}

/// The notes of handlers.
private actor Heard {
    private(set) var notes: [String] = []

    func note(_ text: String) { notes.append(text) }
}

// The layer's additions to the generated code: models for screens, days, words, JSON, the log, paths.

import Foundation
import XCTest

@testable import Sampan

final class LayerTests: XCTestCase {
    @MainActor func testAModelShowsATimelineSendsKeepsADraftAndSaysWhatFailed() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben")
        ).conversation
        let model = TimelineModel(talk)
        XCTAssertEqual(model.conversation, talk)
        let loop = Task { await model.run() }
        await model.send("one").value
        await model.send("two").value
        try await until { @MainActor in model.items.count == 2 }
        XCTAssertEqual(model.items.compactMap(\.message?.content.words), ["one", "two"])
        XCTAssertNil(model.failure)
        model.seen(model.items.map(\.id).reversed())
        await model.loadOlder()
        await model.loadNewer()
        await model.jump(to: .newest)
        XCTAssertNil(model.failure)

        model.draft("half a thou")
        let draft = await model.savedDraft()
        XCTAssertEqual(draft, "half a thou")
        model.draft("")
        let none = await model.savedDraft()
        XCTAssertEqual(none, "")

        // A message that waits has not failed: it can't be sent again.
        let message = try XCTUnwrap(model.items.first?.message)
        XCTAssertFalse(message.canRetry)
        await model.retry(message).value
        XCTAssertEqual(model.failure, .notPossible(obstacle: .hasNotFailed))
        model.failure = nil
        await model.discard(message).value
        try await until { @MainActor in model.items.count == 1 }

        loop.cancel()
        try await within { await loop.value }
        // Another task goes on from the state that the model has.
        let again = Task { await model.run() }
        await model.send("three").value
        try await until { @MainActor in model.items.count == 2 }
        try await engine.shutdown()
        try await within { await again.value }
        await model.send("four").value
        XCTAssertEqual(model.failure, .shutDown)
    }

    @MainActor func testAModelShowsAListThatGrowsAndAClientsState() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        for number in 0..<3 {
            _ = try await ann.createConversation(
                conversation: NewConversation(with: "ben", "cat\(number)"))
        }
        let list = ConversationListModel(ann, options: ListOptions(page: 2))
        let state = ClientStateModel(ann)
        XCTAssertEqual(state.link, .off)
        let loops = [Task { await list.run() }, Task { await state.run() }]
        try await until { @MainActor in list.rows.count == 2 }
        XCTAssertEqual(list.state.total, 3)
        XCTAssertNil(list.appeared(list.rows[0]), "it is not the last one")
        await list.appeared(list.rows[1])?.value
        try await until { @MainActor in list.rows.count == 3 && state.state.outbox.waiting == 3 }
        list.show(ListOptions(filter: .member(client: "cat1")))
        try await until { @MainActor in list.rows.count == 1 }
        XCTAssertEqual(state.sync, .unknown)
        XCTAssertEqual(state.unread.all.messages, 0)
        XCTAssertNil(list.failure)
        try await engine.shutdown()
        for loop in loops { try await within { await loop.value } }
    }

    #if canImport(Combine)
        @MainActor func testAnObjectShowsWhatItsTwinShows() async throws {
            let scratch = try Scratch()
            let engine = try scratch.engine("phone")
            let ann = try await engine.client("ann")
            let talk = try await ann.createConversation(
                conversation: NewConversation(with: "ben")
            ).conversation
            let timeline = TimelineObject(talk, from: .newest)
            let list = ConversationListObject(ann)
            let state = ClientStateObject(ann)
            let loops = [
                Task { await timeline.run() }, Task { await list.run() }, Task { await state.run() },
            ]
            await timeline.send("one").value
            try await until { @MainActor in
                timeline.items.count == 1 && list.rows.first?.last?.words == "one"
                    && state.state.outbox.waiting == 2
            }
            XCTAssertEqual(state.link, .off)
            XCTAssertEqual(state.sync, .unknown)
            XCTAssertEqual(state.unread.unmuted.messages, 0)
            try await engine.shutdown()
            for loop in loops { try await within { await loop.value } }
        }
    #endif

    func testItemsFallIntoDaysOfTheScreensCalendar() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try XCTUnwrap(TimeZone(secondsFromGMT: 8 * 3600))
        // 15:00 and 17:00 in UTC, one day there.
        let evening = Date(timeIntervalSince1970: 1_699_974_000)
        let night = evening.addingTimeInterval(2 * 3600)
        let gap = TimelineItem(key: "gap", kind: .gap(state: .idle))
        let end = TimelineItem(key: "end", kind: .gap(state: .waiting))
        let items = [item("a", "ann", evening), gap, item("b", "ann", night), item("c", "ben", night), end]
        let days = items.days(in: calendar)
        XCTAssertEqual(days.map { $0.items.map(\.key) }, [["a"], ["gap", "b", "c", "end"]])
        XCTAssertEqual(days.map(\.date), [evening, night].map(calendar.startOfDay(for:)))
        XCTAssertEqual(days.map(\.id), ["a", "gap"])
        calendar.timeZone = try XCTUnwrap(TimeZone(secondsFromGMT: 0))
        XCTAssertEqual(items.days(in: calendar).count, 1)
        XCTAssertEqual([gap].days(in: calendar).map(\.date), [nil])
        XCTAssertEqual([TimelineItem]().days(in: calendar), [])
    }

    func testARunEndsWithAnotherSenderAndWithTime() {
        let noon = Date(timeIntervalSince1970: 1_700_000_000)
        let items = [
            item("a", "ann", noon), item("b", "ann", noon.addingTimeInterval(60)),
            item("c", "ben", noon.addingTimeInterval(61)), item("d", "ben", noon.addingTimeInterval(400)),
            TimelineItem(key: "gap", kind: .gap(state: .idle)),
        ]
        XCTAssertEqual((-1...5).map { items.beginsRun(at: $0) }, [false, true, false, true, true, false, false])
    }

    func testAMessageThatWasNotSentSaysWhyAndWhetherAnotherTryMayHelp() {
        let lost = Delivery.failed(failure: .ambiguous, canRetry: true)
        let failed = item("a", "ann", Date(), lost).message
        XCTAssertEqual(failed?.failure, .ambiguous)
        XCTAssertEqual(failed?.canRetry, true)
        let sent = item("b", "ann", Date(), .sent).message
        XCTAssertNil(sent?.failure)
        XCTAssertEqual(sent?.canRetry, false)
    }

    func testContentHasWordsAFileAndDetails() throws {
        let file = MediaFile(url: "https://x.invalid/a.png", name: "a.png")
        let details = Details(attributes: #"{"mood":"good"}"#)
        let files: [MessageContent] = [
            .image(file: file, caption: "see", details: details),
            .audio(file: file, caption: "see", details: details),
            .video(file: file, caption: "see", details: details),
            .file(file: file, caption: "see", details: details),
        ]
        for content in files {
            XCTAssertEqual(content.file, file)
            XCTAssertEqual(content.words, "see")
            XCTAssertEqual(content.details, details)
        }
        let place = MessageContent.location(latitude: 1, longitude: 2, caption: nil, details: details)
        XCTAssertNil(place.words)
        XCTAssertNil(place.file)
        XCTAssertEqual(place.details, details)
        XCTAssertEqual(MessageContent.plain(text: "so").words, "so")
        XCTAssertNil(MessageContent.binary(data: Data([1])).words)
        XCTAssert(MessageContent.recalled(caption: nil, details: Details()).isRecalled)
        XCTAssertFalse(place.isRecalled)
    }

    func testJsonIsDecodedAndEncoded() async throws {
        struct Mood: Codable, Equatable { let mood: String }
        let text = try json(Mood(mood: "good"))
        XCTAssertEqual(text, #"{"mood":"good"}"#)
        let good = Mood(mood: "good")
        XCTAssertEqual(try Details(attributes: text).attributes(as: Mood.self), good)
        XCTAssertNil(try Details().attributes(as: Mood.self))
        XCTAssertThrowsError(try Details(attributes: "[]").attributes(as: Mood.self)) {
            XCTAssert($0 is DecodingError, "\($0)")
        }
        XCTAssertEqual(try MessageContent.custom(kind: 7, envelope: text).envelope(as: Mood.self), good)
        XCTAssertNil(try MessageContent.plain(text: text).envelope(as: Mood.self))

        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let made = try await ann.createConversation(
            conversation: NewConversation(with: "ben", attributes: text))
        let info = try await made.conversation.info()
        XCTAssertEqual(try info.attributes(as: Mood.self), good)
        try await engine.shutdown()
    }

    func testTheLogSaysWhatWasDropped() {
        let record = LogRecord(at: Date(), level: .info, target: "sampan::net", text: "connected")
        XCTAssertEqual(
            LogLine.lines([record], dropped: 0), [LogLine(level: .info, text: "sampan::net: connected")])
        XCTAssertEqual(
            LogLine.lines([], dropped: 3), [LogLine(level: .warn, text: "3 notes were dropped")])
    }

    func testANewPathIsALossASwitchOrNothing() {
        let watch = PathWatch()
        let (wifi, mobile) = (NetworkPath(isUp: true, interface: "en0"), NetworkPath(isUp: true, interface: "pdp0"))
        let none = NetworkPath(isUp: false, interface: nil)
        let changes = [wifi, wifi, mobile, none, none, wifi].map(watch.change(to:))
        XCTAssertEqual(changes, [nil, nil, .switched, .lost, nil, .back])
    }

    func testRowsOfListsHaveIdentity() async throws {
        let scratch = try Scratch()
        let engine = try scratch.engine("phone")
        let ann = try await engine.client("ann")
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben")
        ).conversation
        let sent = try await talk.sendText(text: "hello")
        let outbox = try await ann.outboxList()
        let state = try await within { await outbox.states.first { $0.rows.count == 2 } }
        XCTAssertEqual(state?.rows.last?.id, sent.entry)
        let list = try await ann.conversationList(options: ListOptions(page: 1))
        let added = try await list.loadMore(limit: 5)
        XCTAssertEqual(added, 0, "there is one conversation")
        let accounts = try await engine.accounts()
        XCTAssertEqual(accounts.map(\.id), accounts.map(\.folder))
        XCTAssertEqual(accounts.map(\.client), ["ann"])
        let feed = ann.feed()
        _ = try await talk.sendText(text: "again")
        let batch = try await within { await feed.batches.first { !$0.events.isEmpty } }
        XCTAssertEqual(batch?.missed, 0)
        let timeline = try await talk.timeline()
        let shown = try await within { await timeline.states.first { $0.items.count == 2 } }
        XCTAssertEqual(shown?.items.first?.message?.id, shown?.items.first?.message?.key)
        XCTAssertEqual(shown?.typing, [])
        try await engine.shutdown()
    }
}

private func item(
    _ key: String, _ sender: ClientId, _ at: Date, _ delivery: Delivery? = nil
) -> TimelineItem {
    let message = Message(
        key: key, conversation: "c", reference: nil, localId: nil, sender: sender, isOwn: false, sentAt: at,
        content: .plain(text: key), replyTo: nil, mentions: Mentions(), mentionsMe: false, delivery: delivery,
        entry: nil, editedAt: nil, change: nil)
    return TimelineItem(key: key, kind: .message(message: message))
}

// The common part of the models for SwiftUI: `Models.swift` has the models for Observation, `Objects.swift` those for
// Combine.

import SampanCore

/// A timeline on a screen, such as `TimelineModel` and `TimelineObject`.
@MainActor public protocol TimelineScreen: AnyObject {
    /// The state that the screen shows.
    var state: TimelineState { get }
    /// The last failure; the app sets nil after it has shown the failure.
    var failure: SampanError? { get set }
    /// The item that the screen scrolls to: the anchor at first, then the item that the user moves to.
    var position: ItemKey? { get set }
    /// The part that asks the engine.
    var work: TimelineWork { get }
}

/// Asks the engine for a screen's timeline, and passes the answers on.
@MainActor public final class TimelineWork {
    let conversation: Conversation
    private let options: TimelineOptions
    private(set) var timeline: Timeline?
    private var state = TimelineState()
    private var jump: Int?

    init(_ conversation: Conversation, _ options: TimelineOptions) {
        self.conversation = conversation
        self.options = options
    }

    /// Follows the timeline until the task is cancelled or the view ends. `show` takes the state, and, for a new anchor,
    /// the item to scroll to.
    func run(_ show: (TimelineState, ItemKey?) -> Void) async throws {
        let timeline = try await opened()
        while let update = try await timeline.next(have: state.version) {
            state.apply(update)
            show(state, anchor(update.anchor))
        }
    }

    private func opened() async throws -> Timeline {
        if let timeline { return timeline }
        let opened = try await conversation.timeline(options: options)
        timeline = opened
        return opened
    }

    private func anchor(_ anchor: TimelineAnchor) -> ItemKey? {
        guard case .at(let key, let jump) = anchor, jump != self.jump else { return nil }
        self.jump = jump
        return key
    }
}

extension TimelineScreen {
    /// The items, oldest first.
    public var items: [TimelineItem] { state.items }
    /// The conversation that the screen shows.
    public var conversation: Conversation { work.conversation }

    /// Reports the items on the screen, in any order: their messages are marked read, gaps among them are filled, and the
    /// window grows near its edges.
    public func seen(_ keys: [ItemKey]) {
        let places = keys.compactMap(state.index(of:))
        guard let first = places.min(), let last = places.max() else { return }
        let (oldest, newest) = (items[first].key, items[last].key)
        told { try self.work.timeline?.seen(first: oldest, last: newest) }
    }

    /// Sends a text, as an answer where a message is named. The text is durable when the task ends; its item shows the
    /// delivery.
    @discardableResult public func send(
        _ text: String, replyTo message: Message? = nil
    ) -> Task<Void, Never> {
        asked { _ = try await $0.sendText(text: text, replyTo: message?.key) }
    }

    /// Tries a failed message again.
    @discardableResult public func retry(_ message: Message) -> Task<Void, Never> {
        asked { try await $0.retry(message: message.key) }
    }

    /// Discards an unsent message.
    @discardableResult public func discard(_ message: Message) -> Task<Void, Never> {
        asked { _ = try await $0.discard(message: message.key) }
    }

    /// Keeps the user's draft; the draft is durable within a second.
    public func draft(_ text: String) {
        told { try self.conversation.setDraft(draft: text.isEmpty ? nil : Draft(text: text)) }
    }

    /// The draft that the user left on the screen.
    public func savedDraft() async -> String {
        (try? await conversation.draft())?.text ?? ""
    }

    /// Makes the window grow towards older messages.
    public func loadOlder() async {
        await waited { _ = try await $0.loadOlder() }
    }

    /// Makes the window grow towards newer messages.
    public func loadNewer() async {
        await waited { _ = try await $0.loadNewer() }
    }

    /// Shows another place of the conversation.
    public func jump(to start: TimelineStart) async {
        await waited { try await $0.jump(to: start) }
    }

    private func asked(
        _ call: @escaping @MainActor (Conversation) async throws -> Void
    ) -> Task<Void, Never> {
        Task { failure = await failed { try await call(self.conversation) } ?? failure }
    }

    private func waited(_ call: (Timeline) async throws -> Void) async {
        guard let timeline = work.timeline else { return }
        failure = await failed { try await call(timeline) } ?? failure
    }

    private func told(_ call: () throws -> Void) {
        do { try call() } catch { failure = (error as? SampanError) ?? failure }
    }
}

/// A list of conversations on a screen, such as `ConversationListModel` and `ConversationListObject`.
@MainActor public protocol ConversationListScreen: AnyObject {
    /// The state that the screen shows.
    var state: ListState { get }
    /// The last failure; the app sets nil after it has shown the failure.
    var failure: SampanError? { get set }
    /// The part that asks the engine.
    var work: ConversationListWork { get }
}

/// Asks the engine for a screen's list, and passes the answers on.
@MainActor public final class ConversationListWork {
    private let client: Client
    private let options: ListOptions
    private(set) var list: ConversationList?
    private var state = ListState()

    init(_ client: Client, _ options: ListOptions) {
        self.client = client
        self.options = options
    }

    /// Follows the list until the task is cancelled or the view ends.
    func run(_ show: (ListState) -> Void) async throws {
        let opened =
            if let list { list } else { try await client.conversationList(options: options) }
        list = opened
        while let update = try await opened.next(have: state.version) {
            state.apply(update)
            show(state)
        }
    }
}

extension ConversationListScreen {
    /// The rows, in the list's order.
    public var rows: [ConversationRow] { state.rows }

    /// Reports a row that came on the screen; with the last row the window grows.
    @discardableResult public func appeared(_ row: ConversationRow) -> Task<Void, Never>? {
        guard state.more, row.key == rows.last?.key, let list = work.list else { return nil }
        return Task { failure = await failed { _ = try await list.loadMore() } ?? failure }
    }

    /// Changes the filter or the order of the rows.
    public func show(_ options: ListOptions) {
        do { try work.list?.show(options: options) } catch { failure = (error as? SampanError) ?? failure }
    }
}

/// The failure of a call; nil for a call without a failure, and for a call whose task was cancelled.
@MainActor func failed(_ call: () async throws -> Void) async -> SampanError? {
    do {
        try await call()
        return nil
    } catch {
        return error as? SampanError
    }
}

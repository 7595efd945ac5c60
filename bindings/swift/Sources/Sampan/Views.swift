// Live views as asynchronous sequences of states.
//
// A loop asks its view for the changes since the loop's own version. A loop may therefore be cancelled at any
// moment and begin again, any number of loops may follow one view, and a slow loop gets one update for all
// changes that it missed.

import SampanCore

extension TimelineItem: Identifiable {
    public var id: ItemKey { key }
}

extension ConversationRow: Identifiable {
    public var id: ConversationKey { key }
}

extension OutboxRow: Identifiable {
    public var id: OutboxEntryId { entry }
}

extension Message: Identifiable {
    public var id: MessageKey { key }
}

extension Account: Identifiable {
    public var id: String { folder }
}

extension MemberRow: Identifiable {
    public var id: ClientId { client }
}

/// The state of a timeline.
public struct TimelineState: Sendable, Equatable {
    public private(set) var version: Version = 0
    public private(set) var items: [TimelineItem] = []
    public private(set) var older: TimelineEdge = .more
    public private(set) var newer: TimelineEdge = .more
    public private(set) var anchor: TimelineAnchor = .none
    public private(set) var below = 0
    public private(set) var typing: [ClientId] = []

    public init() {}

    /// Applies an update that `Timeline.next` answered to this state's version.
    public mutating func apply(_ update: TimelineUpdate) {
        for edit in update.edits {
            switch edit {
            case .reset(let all): items = all
            case .insert(let at, let new): items.insert(contentsOf: new, at: at)
            case .remove(let at, let count): items.removeSubrange(at..<at + count)
            case .replace(let at, let item): items[at] = item
            case .move(let from, let to, let item):
                items.remove(at: from)
                items.insert(item, at: to)
            }
        }
        (version, older, newer) = (update.version, update.older, update.newer)
        (anchor, below, typing) = (update.anchor, update.below, update.typing)
    }

    /// The index of the item of a key; nil when the window does not have it.
    public func index(of key: ItemKey) -> Int? {
        items.firstIndex { $0.key == key }
    }
}

/// The state of a list of conversations.
public struct ListState: Sendable, Equatable {
    public private(set) var version: Version = 0
    public private(set) var rows: [ConversationRow] = []
    public private(set) var more = false
    public private(set) var total = 0

    public init() {}

    /// Applies an update that `ConversationList.next` answered to this state's version.
    public mutating func apply(_ update: ListUpdate) {
        for edit in update.edits {
            switch edit {
            case .reset(let all): rows = all
            case .insert(let at, let new): rows.insert(contentsOf: new, at: at)
            case .remove(let at, let count): rows.removeSubrange(at..<at + count)
            case .replace(let at, let row): rows[at] = row
            case .move(let from, let to, let row):
                rows.remove(at: from)
                rows.insert(row, at: to)
            }
        }
        (version, more, total) = (update.version, update.more, update.total)
    }
}

/// The state of the list of unsent work.
public struct OutboxListState: Sendable, Equatable {
    public private(set) var version: Version = 0
    public private(set) var rows: [OutboxRow] = []

    public init() {}

    /// Applies an update that `OutboxList.next` answered to this state's version.
    public mutating func apply(_ update: OutboxUpdate) {
        for edit in update.edits {
            switch edit {
            case .reset(let all): rows = all
            case .insert(let at, let new): rows.insert(contentsOf: new, at: at)
            case .remove(let at, let count): rows.removeSubrange(at..<at + count)
            case .replace(let at, let row): rows[at] = row
            case .move(let from, let to, let row):
                rows.remove(at: from)
                rows.insert(row, at: to)
            }
        }
        version = update.version
    }
}

/// The state of a list of members.
public struct MemberListState: Sendable, Equatable {
    public private(set) var version: Version = 0
    public private(set) var rows: [MemberRow] = []
    public private(set) var more = false
    public private(set) var total = 0

    public init() {}

    /// Applies an update that `MemberList.next` answered to this state's version.
    public mutating func apply(_ update: MemberUpdate) {
        for edit in update.edits {
            switch edit {
            case .reset(let all): rows = all
            case .insert(let at, let new): rows.insert(contentsOf: new, at: at)
            case .remove(let at, let count): rows.removeSubrange(at..<at + count)
            case .replace(let at, let row): rows[at] = row
            case .move(let from, let to, let row):
                rows.remove(at: from)
                rows.insert(row, at: to)
            }
        }
        (version, more, total) = (update.version, update.more, update.total)
    }
}

/// A state that updates change.
protocol Updated: Sendable {
    associatedtype Update
    var version: Version { get }
    mutating func apply(_ update: Update)
}

extension TimelineState: Updated {}
extension ListState: Updated {}
extension OutboxListState: Updated {}
extension MemberListState: Updated {}

extension States where State: Updated {
    /// The states that follow the empty first state, which is not shown.
    init(from first: State, next: @escaping @Sendable (Version) async throws -> State.Update?) {
        following = { state in
            var state = state ?? first
            guard let update = try await next(state.version) else { return nil }
            state.apply(update)
            return state
        }
    }
}

/// The states of a view, from the present one on, until the view ends or the loop's task is cancelled.
/// Any number of loops may run over one view, each as often as it likes.
public struct States<State: Sendable>: AsyncSequence, Sendable {
    public typealias Element = State

    let following: @Sendable (State?) async throws -> State?

    public func makeAsyncIterator() -> Iterator {
        Iterator(following: following)
    }

    public struct Iterator: AsyncIteratorProtocol {
        private var state: State?
        private let following: @Sendable (State?) async throws -> State?

        init(following: @escaping @Sendable (State?) async throws -> State?) {
            self.following = following
        }

        public mutating func next() async -> State? {
            // A view throws only when the task was cancelled.
            guard let next = try? await following(state) else { return nil }
            state = next
            return next
        }
    }
}

extension Timeline {
    /// The states of the timeline.
    public var states: States<TimelineState> {
        States(from: TimelineState()) { [self] have in try await next(have: have) }
    }
}

extension ConversationList {
    /// The states of the list.
    public var states: States<ListState> {
        States(from: ListState()) { [self] have in try await next(have: have) }
    }
}

extension OutboxList {
    /// The states of the list.
    public var states: States<OutboxListState> {
        States(from: OutboxListState()) { [self] have in try await next(have: have) }
    }
}

extension MemberList {
    /// The states of the list.
    public var states: States<MemberListState> {
        States(from: MemberListState()) { [self] have in try await next(have: have) }
    }
}

extension EventFeed {
    /// The events in batches, each once, until the feed ends. A batch counts as taken when the loop asks for the next one.
    public var batches: States<EventBatch> {
        States { [self] batch in try await next(after: batch?.last ?? 0) }
    }
}

extension Download {
    /// The states of the download, until it is done, failed or stopped.
    public var states: States<DownloadState> {
        States { [self] state in try await next(have: state?.version ?? 0) }
    }
}

extension NoticeFeed {
    /// The notices, each once, until the engine is shut down. Each notice goes to one of several loops.
    public var notices: States<SessionNotice> {
        States { [self] _ in try await next() }
    }
}

extension Client {
    /// The states of the client: its connection, its unread counts, its outbox.
    public var states: States<ClientState> {
        States { [self] state in try await nextState(have: state?.version ?? 0) }
    }
}

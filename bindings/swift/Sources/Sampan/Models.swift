// Live views for SwiftUI. Compiled where Apple's modules are.

#if canImport(Observation) && canImport(SwiftUI)
    import Observation
    import SampanCore

    /// A timeline for a screen: `.task { await model.run() }`.
    @available(iOS 17, macOS 14, *)
    @MainActor @Observable public final class TimelineModel {
        public private(set) var state = TimelineState()
        public let conversation: Conversation
        private let options: TimelineOptions
        private var timeline: Timeline?

        public init(_ conversation: Conversation, from start: TimelineStart? = nil) {
            self.conversation = conversation
            options = TimelineOptions(start: start)
        }

        public var items: [TimelineItem] { state.items }

        /// Follows the timeline until the task is cancelled or the view ends.
        public func run() async {
            if timeline == nil { timeline = try? await conversation.timeline(options: options) }
            while let update = try? await timeline?.next(have: state.version) { state.apply(update) }
        }

        /// Tells which items are on the screen.
        public func seen(_ keys: [ItemKey]) {
            guard let first = keys.first, let last = keys.last else { return }
            try? timeline?.seen(first: first, last: last)
        }
    }

    /// A list of conversations for a screen: `.task { await model.run() }`.
    @available(iOS 17, macOS 14, *)
    @MainActor @Observable public final class ConversationListModel {
        public private(set) var state = ListState()
        private let client: Client
        private let options: ListOptions
        private var list: ConversationList?

        public init(_ client: Client, options: ListOptions = ListOptions()) {
            self.client = client
            self.options = options
        }

        public var rows: [ConversationRow] { state.rows }

        /// Follows the list until the task is cancelled or the view ends.
        public func run() async {
            if list == nil { list = try? await client.conversationList(options: options) }
            while let update = try? await list?.next(have: state.version) { state.apply(update) }
        }

        /// A row came on the screen: near the end the window grows.
        public func appeared(_ row: ConversationRow) {
            guard state.more, row.key == state.rows.last?.key, let list else { return }
            Task { _ = try? await list.loadMore() }
        }
    }

    /// A client's state for a screen: `.task { await model.run() }`.
    @available(iOS 17, macOS 14, *)
    @MainActor @Observable public final class ClientStateModel {
        public private(set) var state: ClientState
        private let client: Client

        public init(_ client: Client) {
            self.client = client
            state = client.state()
        }

        public var link: LinkState { state.link }
        public var sync: SyncState { state.sync }
        public var unread: UnreadSummary { state.unread }

        /// Follows the state until the task is cancelled or the client is closed.
        public func run() async {
            for await next in client.states { state = next }
        }
    }
#endif

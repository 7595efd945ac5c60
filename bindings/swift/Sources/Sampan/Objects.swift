// Live views for SwiftUI, observed with Combine: the same models as in `Models.swift`, for iOS 15 and macOS 12.

#if canImport(Combine)
    import Combine
    import SampanCore

    /// A timeline for a screen, as an observable object: `.task { await object.run() }`.
    @MainActor public final class TimelineObject: TimelineScreen, ObservableObject {
        @Published public private(set) var state = TimelineState()
        @Published public var failure: SampanError?
        @Published public var position: ItemKey?
        public let work: TimelineWork

        /// A screen that begins at a place; without a place at the newest message.
        public convenience init(_ conversation: Conversation, from start: TimelineStart? = nil) {
            self.init(conversation, options: TimelineOptions(start: start))
        }

        /// A screen with options of the app's own.
        public init(_ conversation: Conversation, options: TimelineOptions) {
            work = TimelineWork(conversation, options)
        }

        /// Follows the timeline until the task is cancelled or the view ends.
        public func run() async {
            let failure = await failed {
                try await work.run { state, anchor in
                    self.state = state
                    self.position = anchor ?? self.position
                }
            }
            self.failure = failure ?? self.failure
        }
    }

    /// A list of conversations for a screen, as an observable object: `.task { await object.run() }`.
    @MainActor public final class ConversationListObject: ConversationListScreen, ObservableObject {
        @Published public private(set) var state = ListState()
        @Published public var failure: SampanError?
        public let work: ConversationListWork

        public init(_ client: Client, options: ListOptions = ListOptions()) {
            work = ConversationListWork(client, options)
        }

        /// Follows the list until the task is cancelled or the view ends.
        public func run() async {
            let failure = await failed { try await work.run { self.state = $0 } }
            self.failure = failure ?? self.failure
        }
    }

    /// A client's state for a screen, as an observable object: `.task { await object.run() }`.
    @MainActor public final class ClientStateObject: ObservableObject {
        @Published public private(set) var state: ClientState
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

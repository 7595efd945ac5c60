// Live views for SwiftUI, observed with Observation: iOS 17, macOS 14, and Linux.

#if canImport(Observation)
    import Observation
    import SampanCore

    /// A timeline for a screen: `.task { await model.run() }`.
    @available(iOS 17, macOS 14, *)
    @MainActor @Observable public final class TimelineModel: TimelineScreen {
        public private(set) var state = TimelineState()
        public var failure: SampanError?
        public var position: ItemKey?
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

    /// A list of conversations for a screen: `.task { await model.run() }`.
    @available(iOS 17, macOS 14, *)
    @MainActor @Observable public final class ConversationListModel: ConversationListScreen {
        public private(set) var state = ListState()
        public var failure: SampanError?
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

// A whole chat app for SwiftUI. Where there is no SwiftUI it is compiled against stubs of it.

import Sampan
import SwiftUI

@main struct Tea: App {
    @State private var session = Session()

    var body: some Scene {
        WindowGroup {
            if let me = session.client { Inbox(me) } else { ProgressView().task { await session.start() } }
        }
    }
}

@MainActor @Observable final class Session {
    private(set) var client: Client?
    private var following: SystemObservation?

    func start() async {
        let folder = FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent("chat")
        let config = Config(
            appId: "tea", appKey: "tea-key", server: .router(url: "https://chat.invalid"), storeRoot: folder)
        guard let engine = try? Engine.open(config: config) else { return }
        following = engine.followSystem()
        client = try? await engine.client("ann")
        try? client?.goOnline()
    }
}

struct Inbox: View {
    let client: Client
    @State private var list: ConversationListModel
    @State private var state: ClientStateModel

    init(_ client: Client) {
        self.client = client
        _list = State(wrappedValue: ConversationListModel(client))
        _state = State(wrappedValue: ClientStateModel(client))
    }

    var body: some View {
        NavigationStack {
            List(list.rows) { row in
                // A row keeps its key, also when the service gives its conversation an id.
                NavigationLink(value: row.conversation) { RowView(row: row) }
                    .badge(row.unread.count)
                    .onAppear { list.appeared(row) }
            }
            .safeAreaInset(edge: .top) { Banner(link: state.link, sync: state.sync) { client.retryNow() } }
            .navigationTitle(title)
            .navigationDestination(for: ConversationId.self) { id in Opening(client: client, id: id) }
        }
        .task { await list.run() }
        .task { await state.run() }
    }

    private var title: String {
        let unread = state.unread.unmuted.messages
        return unread == 0 ? "Chats" : "Chats (\(unread))"
    }
}

/// A conversation is opened by its id, which may come from a notification as well.
struct Opening: View {
    let client: Client
    let id: ConversationId
    @State private var conversation: Conversation?

    var body: some View {
        if let conversation {
            Talk(conversation)
        } else {
            ProgressView().task { conversation = try? client.conversation(id: id) }
        }
    }
}

struct Talk: View {
    @State private var talk: TimelineModel
    @State private var text = ""

    init(_ conversation: Conversation) {
        _talk = State(wrappedValue: TimelineModel(conversation, from: .firstUnread))
    }

    var body: some View {
        ScrollView {
            LazyVStack {
                ForEach(talk.items) { item in
                    switch item.kind {
                    case .message(let message):
                        Bubble(message: message).swipeActions {
                            if message.canRetry { Button("Again") { talk.retry(message) } }
                        }
                    // The gap is filled while the user sees it.
                    case .gap(let state): GapRow(state: state)
                    case .firstUnread(let count, _): Text("\(count) new")
                    }
                }
            }
            .scrollTargetLayout()
        }
        // Begins at the anchor, then follows the user.
        .scrollPosition(id: $talk.position)
        // Reads, fills and pages.
        .onScrollTargetVisibilityChange(idType: ItemKey.self) { talk.seen($0) }
        .safeAreaInset(edge: .bottom) {
            HStack {
                TextField("Message", text: $text).onChange(of: text) { talk.draft(text) }
                Button("Send") {
                    talk.send(text)
                    text = ""
                }
                .disabled(text.isEmpty)
            }
        }
        .task {
            text = await talk.savedDraft()
            await talk.run()
        }
    }
}

struct RowView: View {
    let row: ConversationRow

    var body: some View {
        HStack {
            Text(row.name ?? row.peer ?? row.faces.joined(separator: ", "))
            Text(row.draft.map { "Draft: \($0)" } ?? row.last?.words ?? "")
        }
    }
}

struct Banner: View {
    let link: LinkState
    let sync: SyncState
    let retry: @MainActor () -> Void

    init(link: LinkState, sync: SyncState, retry: @escaping @MainActor () -> Void) {
        self.link = link
        self.sync = sync
        self.retry = retry
    }

    var body: some View {
        switch (link, sync) {
        case (.online, .catchingUp(let done, let total)): Text("\(done) of \(total)")
        case (.online, _): Text("")
        case (.waiting(let at, _), _): Button("Offline. Next try at \(at)", action: retry)
        case (.ended(let reason), _): Text("Signed out: \(reason)")
        default: Text("Connecting")
        }
    }
}

struct Bubble: View {
    let message: Message

    var body: some View {
        HStack {
            Text(message.content.words ?? "A file")
            Text(message.failure.map { "\($0)" } ?? "")
        }
    }
}

struct GapRow: View {
    let state: FillState

    var body: some View {
        switch state {
        case .failed: Text("Could not be loaded")
        default: ProgressView()
        }
    }
}

// A whole chat app for Android. Where there is no Android it is compiled against stubs of its libraries.
package tea

import android.app.Application
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.foundation.lazy.rememberLazyListState
import androidx.compose.material3.Badge
import androidx.compose.material3.BadgedBox
import androidx.compose.material3.Scaffold
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.material3.TextField
import androidx.compose.material3.TopAppBar
import androidx.compose.runtime.Composable
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.runtime.snapshotFlow
import androidx.compose.ui.Modifier
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.ViewModel
import androidx.lifecycle.compose.collectAsStateWithLifecycle
import androidx.lifecycle.viewModelScope
import chat.sampan.Config
import chat.sampan.Conversation
import chat.sampan.ConversationId
import chat.sampan.ConversationRow
import chat.sampan.Draft
import chat.sampan.Engine
import chat.sampan.FillState
import chat.sampan.HiddenText
import chat.sampan.ItemKey
import chat.sampan.LinkState
import chat.sampan.ListState
import chat.sampan.ServerAddress
import chat.sampan.SyncState
import chat.sampan.Anchor
import chat.sampan.TimelineItemKind
import chat.sampan.Message
import chat.sampan.TimelineOptions
import chat.sampan.TimelineStart
import chat.sampan.TimelineState
import chat.sampan.canRetry
import chat.sampan.client
import chat.sampan.closeWith
import chat.sampan.followSystem
import chat.sampan.states
import chat.sampan.words
import java.io.File
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.SharingStarted.Companion.WhileSubscribed
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.stateIn
import kotlinx.coroutines.launch

class TeaApp : Application() {
    val engine by lazy {
        val server = ServerAddress.Router("https://chat.invalid")
        Engine.open(Config("tea", HiddenText("tea-key"), server, File(filesDir, "chat")))
            .also { it.followSystem(this) }
    }
}

class InboxModel(app: Application) : AndroidViewModel(app) {
    private val client = viewModelScope.async {
        (app as TeaApp).engine.client("ann").closeWith(viewModelScope).also { it.goOnline() }
    }
    private val list = viewModelScope.async { client.await().conversationList().closeWith(viewModelScope) }

    val state = flow { emitAll(client.await().states) }.stateIn(viewModelScope, WhileSubscribed(5_000), null)
    val rows = flow { emitAll(list.await().states) }.stateIn(viewModelScope, WhileSubscribed(5_000), ListState())

    fun more() = viewModelScope.launch { list.await().loadMore() }

    fun retryNow() = viewModelScope.launch { client.await().retryNow() }

    suspend fun conversation(id: ConversationId): Conversation = client.await().conversation(id)
}

class TalkModel(private val talk: Conversation) : ViewModel() {
    private val timeline = viewModelScope.async {
        talk.timeline(TimelineOptions(start = TimelineStart.FirstUnread)).closeWith(viewModelScope)
    }

    val state =
        flow { emitAll(timeline.await().states) }.stateIn(viewModelScope, WhileSubscribed(5_000), TimelineState())

    // The text is on disk when the call returns; there is nothing else to do.
    fun send(text: String) = viewModelScope.launch { talk.sendText(text) }

    fun retry(message: Message) = viewModelScope.launch { talk.retry(message.key) }

    fun seen(first: ItemKey, last: ItemKey) = viewModelScope.launch { timeline.await().seen(first, last) }

    fun draft(text: String) = talk.setDraft(Draft(text))
}

@Composable
fun Inbox(model: InboxModel, open: (ConversationId) -> Unit) {
    val state by model.state.collectAsStateWithLifecycle()
    val list by model.rows.collectAsStateWithLifecycle()
    val unread = state?.unread?.unmuted?.messages ?: 0
    Scaffold(topBar = { TopAppBar(title = { BadgedBox({ Badge { Text("$unread") } }) { Text("Chats") } }) }) { padding ->
        LazyColumn(contentPadding = padding) {
            item { Banner(state?.link, state?.sync, onRetry = { model.retryNow() }) }
            items(list.rows, key = { it.key }) { row -> Row(row) { open(row.conversation) } }
            if (list.more) item { LaunchedEffect(list.version) { model.more() } }
        }
    }
}

@Composable
fun Talk(model: TalkModel) {
    val state by model.state.collectAsStateWithLifecycle()
    val scroll = rememberLazyListState()
    var text by remember { mutableStateOf("") }
    LaunchedEffect(state.anchor) {
        (state.anchor as? Anchor.At)?.let { at -> scroll.scrollToItem(state.indexOf(at.key)) }
    }
    // The engine marks the seen items read, fills gaps among them and pages by them.
    LaunchedEffect(scroll) {
        snapshotFlow { scroll.layoutInfo.visibleItemsInfo }.collect { seen ->
            if (seen.isNotEmpty()) model.seen(seen.first().key as ItemKey, seen.last().key as ItemKey)
        }
    }
    Column {
        LazyColumn(Modifier, scroll) {
            items(state.items, key = { it.key }) { item ->
                when (val kind = item.kind) {
                    is TimelineItemKind.Message -> Bubble(kind.message, onRetry = { model.retry(kind.message) })
                    is TimelineItemKind.Gap -> GapRow(kind.state)
                    is TimelineItemKind.FirstUnread -> Text("${kind.count} new")
                }
            }
        }
        TextField(text, onValueChange = { text = it; model.draft(it) })
        TextButton(onClick = { model.send(text); text = "" }) { Text("Send") }
    }
}

@Composable
fun Row(row: ConversationRow, onClick: () -> Unit) {
    TextButton(onClick) {
        Text(row.name ?: row.peer ?: row.faces.joinToString())
        Text(row.draft?.let { "Draft: $it" } ?: row.last?.words.orEmpty())
    }
}

@Composable
fun Banner(link: LinkState?, sync: SyncState?, onRetry: () -> Unit) {
    when {
        link is LinkState.Waiting -> TextButton(onRetry) { Text("Offline. Next try at ${link.retryAt}") }
        link is LinkState.Ended -> Text("Signed out: ${link.reason}")
        link == LinkState.Online && sync is SyncState.CatchingUp -> Text("${sync.done} of ${sync.total}")
        link == LinkState.Online -> {}
        else -> Text("Connecting")
    }
}

@Composable
fun Bubble(message: Message, onRetry: () -> Unit) {
    Text(message.content.words ?: "A file")
    if (message.canRetry) TextButton(onRetry) { Text("Again") }
}

@Composable
fun GapRow(state: FillState) {
    Text(if (state is FillState.Failed) "Could not be loaded" else "…")
}

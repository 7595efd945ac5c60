// Live views as flows of states.
//
// A collector asks its view for the changes since the collector's own version. A collector may therefore be
// cancelled at any moment and begin again, any number of collectors may follow one view, and a slow collector
// gets one update for all changes that it missed.
package chat.sampan

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.SharingStarted
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.stateIn

/** The time for which a shared state is followed without a collector: long enough for a screen that turns. */
private const val LINGER_MILLIS = 5_000L

/** The state of a timeline. */
data class TimelineState(
    val version: Long = 0,
    val items: List<TimelineItem> = emptyList(),
    val older: TimelineEdge = TimelineEdge.More,
    val newer: TimelineEdge = TimelineEdge.More,
    val anchor: Anchor = Anchor.None,
    val below: Int = 0,
    val typing: List<ClientId> = emptyList(),
) {
    /** The state after an update that [Timeline.next] answered to this state's version. */
    fun applied(update: TimelineUpdate): TimelineState {
        val items = ArrayList(items)
        for (edit in update.edits) when (edit) {
            is TimelineEdit.Reset -> { items.clear(); items.addAll(edit.items) }
            is TimelineEdit.Insert -> items.addAll(edit.at, edit.items)
            is TimelineEdit.Remove -> items.removeRange(edit.at, edit.count)
            is TimelineEdit.Replace -> items[edit.at] = edit.item
            is TimelineEdit.Move -> { items.removeAt(edit.from); items.add(edit.to, edit.item) }
        }
        return TimelineState(update.version, items, update.older, update.newer, update.anchor, update.below, update.typing)
    }

    /** The index of the item of a key, or -1. */
    fun indexOf(key: ItemKey): Int = items.indexOfFirst { it.key == key }
}

/** The state of a list of conversations. */
data class ListState(
    val version: Long = 0,
    val rows: List<ConversationRow> = emptyList(),
    val more: Boolean = false,
    val total: Int = 0,
) {
    /** The state after an update that [ConversationList.next] answered to this state's version. */
    fun applied(update: ListUpdate): ListState {
        val rows = ArrayList(rows)
        for (edit in update.edits) when (edit) {
            is ListEdit.Reset -> { rows.clear(); rows.addAll(edit.rows) }
            is ListEdit.Insert -> rows.addAll(edit.at, edit.rows)
            is ListEdit.Remove -> rows.removeRange(edit.at, edit.count)
            is ListEdit.Replace -> rows[edit.at] = edit.row
            is ListEdit.Move -> { rows.removeAt(edit.from); rows.add(edit.to, edit.row) }
        }
        return ListState(update.version, rows, update.more, update.total)
    }
}

/** The state of the list of unsent work. */
data class OutboxListState(val version: Long = 0, val rows: List<OutboxRow> = emptyList()) {
    /** The state after an update that [OutboxList.next] answered to this state's version. */
    fun applied(update: OutboxUpdate): OutboxListState {
        val rows = ArrayList(rows)
        for (edit in update.edits) when (edit) {
            is OutboxEdit.Reset -> { rows.clear(); rows.addAll(edit.rows) }
            is OutboxEdit.Insert -> rows.addAll(edit.at, edit.rows)
            is OutboxEdit.Remove -> rows.removeRange(edit.at, edit.count)
            is OutboxEdit.Replace -> rows[edit.at] = edit.row
            is OutboxEdit.Move -> { rows.removeAt(edit.from); rows.add(edit.to, edit.row) }
        }
        return OutboxListState(update.version, rows)
    }
}

/** The state of a list of members. */
data class MemberListState(
    val version: Long = 0,
    val rows: List<MemberRow> = emptyList(),
    val more: Boolean = false,
    val total: Int = 0,
) {
    /** The state after an update that [MemberList.next] answered to this state's version. */
    fun applied(update: MemberUpdate): MemberListState {
        val rows = ArrayList(rows)
        for (edit in update.edits) when (edit) {
            is MemberEdit.Reset -> { rows.clear(); rows.addAll(edit.rows) }
            is MemberEdit.Insert -> rows.addAll(edit.at, edit.rows)
            is MemberEdit.Remove -> rows.removeRange(edit.at, edit.count)
            is MemberEdit.Replace -> rows[edit.at] = edit.row
            is MemberEdit.Move -> { rows.removeAt(edit.from); rows.add(edit.to, edit.row) }
        }
        return MemberListState(update.version, rows, update.more, update.total)
    }
}

private fun <T> ArrayList<T>.removeRange(at: Int, count: Int) {
    subList(at, at + count).clear()
}

/** The states that follow the empty first state, which is not shown, until the view ends. */
private fun <State, Update : Any> following(
    first: State,
    version: (State) -> Long,
    next: suspend (Long) -> Update?,
    applied: (State, Update) -> State,
): Flow<State> = flow {
    var state = first
    while (true) {
        state = applied(state, next(version(state)) ?: break)
        emit(state)
    }
}

/** The states that come whole, from the present one on, until there are no more. */
private fun <State : Any> newest(version: (State) -> Long, next: suspend (Long) -> State?): Flow<State> = flow {
    var have = 0L
    while (true) {
        val state = next(have) ?: break
        have = version(state)
        emit(state)
    }
}

/** The states of a timeline, from the present one on, until the view ends. */
val Timeline.states: Flow<TimelineState>
    get() = following(TimelineState(), TimelineState::version, ::next, TimelineState::applied)

/** The states of a list of conversations, from the present one on, until the view ends. */
val ConversationList.states: Flow<ListState>
    get() = following(ListState(), ListState::version, ::next, ListState::applied)

/** The states of the list of unsent work, from the present one on, until the view ends. */
val OutboxList.states: Flow<OutboxListState>
    get() = following(OutboxListState(), OutboxListState::version, ::next, OutboxListState::applied)

/** The states of a list of members, from the present one on, until the view ends. */
val MemberList.states: Flow<MemberListState>
    get() = following(MemberListState(), MemberListState::version, ::next, MemberListState::applied)

/** The events in batches, each once, until the feed ends. A batch counts as taken when the loop asks for the next one. */
val EventFeed.batches: Flow<EventBatch>
    get() = flow {
        var last = 0L
        while (true) {
            val batch = next(last) ?: break
            emit(batch)
            last = batch.last
        }
    }

/** The states of a download, from the present one on, until it is done, failed or stopped. */
val Download.states: Flow<DownloadState>
    get() = newest(DownloadState::version, ::next)

/** The notices of a feed, each once, until the engine is shut down. Each notice goes to one of several collectors. */
val NoticeFeed.notices: Flow<SessionNotice>
    get() = flow { while (true) emit(next() ?: break) }

/** The states of a client, from the present one on, until it is closed. */
val Client.states: Flow<ClientState>
    get() = newest(ClientState::version, ::nextState)

/** The states for a screen: followed while it has a collector, and five seconds longer. */
fun Timeline.statesIn(scope: CoroutineScope): StateFlow<TimelineState> =
    states.stateIn(scope, SharingStarted.WhileSubscribed(LINGER_MILLIS), TimelineState())

/** The states for a screen: followed while it has a collector, and five seconds longer. */
fun ConversationList.statesIn(scope: CoroutineScope): StateFlow<ListState> =
    states.stateIn(scope, SharingStarted.WhileSubscribed(LINGER_MILLIS), ListState())

/** The states for a screen: followed while it has a collector, and five seconds longer. */
fun OutboxList.statesIn(scope: CoroutineScope): StateFlow<OutboxListState> =
    states.stateIn(scope, SharingStarted.WhileSubscribed(LINGER_MILLIS), OutboxListState())

/** The states for a screen, from the present one on: followed while it has a collector, and five seconds longer. */
fun Client.statesIn(scope: CoroutineScope): StateFlow<ClientState> =
    states.stateIn(scope, SharingStarted.WhileSubscribed(LINGER_MILLIS), state())

/** The states for a screen: followed while it has a collector, and five seconds longer. */
fun MemberList.statesIn(scope: CoroutineScope): StateFlow<MemberListState> =
    states.stateIn(scope, SharingStarted.WhileSubscribed(LINGER_MILLIS), MemberListState())

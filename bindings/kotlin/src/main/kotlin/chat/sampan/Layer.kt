// Idioms of Kotlin that the generator does not give: events as a Flow, handles that a scope closes, and default
// arguments.
//
// No name of the foreign-function interface (JNA) occurs here, so the interface can change.
package chat.sampan

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.trySendBlocking
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/** The events of this client from now on; see [Engine.events]. */
fun Client.events(): Flow<Event> = eventFlow(::observe)

/**
 * The events of all clients from now on. Each collection is a subscription of its own, which begins
 * and ends with the collection.
 *
 * A collector that is slower than the events gets [Event.Lagged] instead of the events that it missed; the app then
 * reads its screens again.
 */
fun Engine.events(): Flow<Event> = eventFlow(::observe)

/** Opens the store of a client without a tag, a signer or a key. */
suspend fun Engine.client(id: ClientId): Client = client(id, ClientOptions())

/** Asks for a conversation of the usual kind: one per set of members. */
suspend fun Client.createConversation(
    vararg members: ClientId,
    name: String? = null,
    attributes: Json? = null,
): CreatedConversation =
    createConversation(NewConversation(members = members.toList(), name = name, attributes = attributes))

/**
 * Closes the handle when the scope is cancelled or completes, and at once if the scope has already ended. A view
 * model passes its `viewModelScope` and need not close the handle. A scope without a job closes nothing.
 */
fun <T : AutoCloseable> T.closeWith(scope: CoroutineScope): T {
    scope.coroutineContext[Job]?.invokeOnCompletion { close() }
    return this
}

/**
 * The collector subscribes before it waits, so it misses no later event. The observer waits on its own thread until
 * the collector takes a batch. When a collector is slow, the engine's queue therefore fills, and the engine reports
 * missed events.
 */
internal fun eventFlow(subscribe: (EventObserver) -> EventSubscription): Flow<Event> = flow {
    val batches = Channel<List<Event>>(Channel.RENDEZVOUS)
    val relay = object : EventObserver {
        override fun onEvents(events: List<Event>) {
            batches.trySendBlocking(events)
        }
    }
    val subscription = subscribe(relay)
    try {
        for (batch in batches) batch.forEach { emit(it) }
    } finally {
        batches.cancel()
        subscription.use(EventSubscription::cancel)
    }
}

// The additions that Kotlin expects and no generator gives: events as a Flow, handles that a scope closes, and
// defaults to leave out.
//
// Nothing here names the way in which the library is called, so that this way can change.
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
 * and ends with it.
 *
 * A collector that is slower than the events gets [Event.Lagged] instead of what it missed, and
 * reads again what it shows.
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
 * Closes the handle when the scope is cancelled or completes, and at once where it has: a view model gives
 * its `viewModelScope` and forgets the handle. A scope without a job closes nothing.
 */
fun <T : AutoCloseable> T.closeWith(scope: CoroutineScope): T {
    scope.coroutineContext[Job]?.invokeOnCompletion { close() }
    return this
}

/**
 * The collector subscribes itself, before it waits: no event after that is missed. The observer waits, on its own
 * thread, until the collector takes a batch: so the engine's queue fills when a collector is slow, and the engine
 * says what was missed.
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

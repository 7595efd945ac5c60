// Reports of the operating system to an engine: network, background, foreground.
package chat.sampan

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.launch

/** A report of the operating system. */
sealed interface SystemWord {
    /** The app is in the foreground. */
    data object Foreground : SystemWord

    /** The app went to the background. */
    data object Background : SystemWord

    /** The network changed. */
    data class Network(val change: NetworkChange) : SystemWord
}

/** The object that a [SystemFollower] drives: an [Engine], or a test's own. */
interface Followed {
    suspend fun pause()

    suspend fun resume()

    suspend fun networkChanged(change: NetworkChange)
}

/**
 * Passes the reports of the operating system to an engine, in order and one at a time. On Android
 * `Engine.followSystem` makes a follower; elsewhere an app calls [hear] itself.
 *
 * [hear] does not wait and may be called on any thread. When several reports of one kind wait, only the last
 * one counts: an app that came back before its engine was paused is not paused at all.
 */
class SystemFollower(private val followed: Followed, scope: CoroutineScope) : AutoCloseable {
    private val lock = Any()
    private var isInFront: Boolean? = null
    private var network: NetworkChange? = null
    private val bell = Channel<Unit>(Channel.CONFLATED)
    private val job: Job = scope.launch { for (ring in bell) tellAll() }

    /** Takes a report of the operating system. */
    fun hear(word: SystemWord) {
        synchronized(lock) {
            when (word) {
                SystemWord.Foreground -> isInFront = true
                SystemWord.Background -> isInFront = false
                is SystemWord.Network -> network = word.change
            }
        }
        bell.trySend(Unit)
    }

    /** Stops following. */
    override fun close() {
        bell.close()
        job.cancel()
    }

    private suspend fun tellAll() {
        val (front, change) = synchronized(lock) {
            Pair(isInFront, network).also { isInFront = null; network = null }
        }
        try {
            if (change != null) followed.networkChanged(change)
            when (front) {
                true -> followed.resume()
                false -> followed.pause()
                null -> {}
            }
        } catch (_: SampanException) {
            // An engine that was shut down takes no more reports.
            close()
        }
    }
}

/** Makes an engine follow the reports that its app gets; see [SystemFollower]. */
fun Engine.follower(scope: CoroutineScope): SystemFollower {
    val engine = this
    val followed = object : Followed {
        override suspend fun pause() = engine.pause()

        override suspend fun resume() = engine.resume()

        override suspend fun networkChanged(change: NetworkChange) = engine.networkChanged(change)
    }
    return SystemFollower(followed, scope)
}

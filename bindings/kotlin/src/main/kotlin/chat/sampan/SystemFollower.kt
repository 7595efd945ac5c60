// An engine's news of the phone around it: network, background, foreground.
package chat.sampan

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.launch

/** A word of the operating system, whichever system it is. */
sealed interface SystemWord {
    /** The app is in front. */
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
 * Tells an engine what the operating system says, in order and one word at a time. On Android
 * `Engine.followSystem` makes one; elsewhere an app calls [hear] itself.
 *
 * [hear] never waits and may be called on any thread. Of words that wait the last one of a kind
 * holds: an app that came back before its engine was paused is not paused at all.
 */
class SystemFollower(private val followed: Followed, scope: CoroutineScope) : AutoCloseable {
    private val lock = Any()
    private var isInFront: Boolean? = null
    private var network: NetworkChange? = null
    private val bell = Channel<Unit>(Channel.CONFLATED)
    private val job: Job = scope.launch { for (ring in bell) tellAll() }

    /** Takes a word of the operating system. */
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

    /** Follows no more. */
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
            // An engine that was shut down follows nothing.
            close()
        }
    }
}

/** Has an engine follow what its app hears; see [SystemFollower]. */
fun Engine.follower(scope: CoroutineScope): SystemFollower {
    val engine = this
    val followed = object : Followed {
        override suspend fun pause() = engine.pause()

        override suspend fun resume() = engine.resume()

        override suspend fun networkChanged(change: NetworkChange) = engine.networkChanged(change)
    }
    return SystemFollower(followed, scope)
}

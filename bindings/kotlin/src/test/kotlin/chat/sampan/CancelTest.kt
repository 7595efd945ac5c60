// Calls that are cancelled midway, and engines beside each other.
package chat.sampan

import java.nio.file.Path
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.mapNotNull
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class CancelTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `ten thousand calls that are cancelled midway leave no handle behind`() = within {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            val talk = ann.createConversation("ben").conversation
            val timeline = talk.timeline()
            val state = timeline.states.first()
            // Nobody listens there, so the session never opens.
            ann.goOnline()
            var cancelled = 0
            repeat(100) {
                coroutineScope {
                    repeat(100) { number ->
                        val call = launch(start = CoroutineStart.UNDISPATCHED) {
                            when (number % 4) {
                                0 -> ann.waitOnline()
                                1 -> timeline.next(state.version)
                                2 -> talk.info()
                                else -> ann.unreadTotals()
                            }
                        }
                        if (number % 3 == 0) yield()
                        call.cancel()
                        call.join()
                        if (call.isCancelled) cancelled += 1
                    }
                }
            }
            assertTrue(cancelled >= 5_000, "$cancelled were cancelled: the first two kinds never end by themselves")
            // A call that was cancelled is freed on the engine's side, and its continuation with it.
            while (uniffiContinuationHandleMap.size > 0) delay(5.milliseconds)
            assertEquals(0, uniffiForeignFutureHandleCount())
            talk.sendText("and all goes on")
            assertEquals(1, timeline.states.first { it.items.isNotEmpty() }.items.size)
            engine.shutdown()
        }
    }

    @Test
    fun `two engines live beside each other`() = within {
        val (first, second) = Pair(engine(folder, "first"), engine(folder, "second"))
        val (ann, twin) = Pair(first.client("ann"), second.client("ann"))
        assertTrue(ann != twin, "one name on two devices")
        val feed = twin.feed()
        ann.createConversation("ben").conversation.sendText("on the first")
        twin.createConversation("ben").conversation.sendText("on the second")
        val heard = feed.batches.mapNotNull { batch -> batch.events.firstNotNullOfOrNull { it.words() } }.first()
        assertEquals("on the second", heard)
        first.shutdown()
        assertTrue(runCatching { ann.outbox() }.exceptionOrNull() is SampanException.ShutDown)
        assertEquals(2, twin.outbox().size)
        second.shutdown()
    }

    private fun within(test: suspend CoroutineScope.() -> Unit) =
        runBlocking { withTimeout(120.seconds, test) }
}

// Live views from Kotlin on the JVM, against a real service.
package chat.sampan

import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class ViewsTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `a timeline and a list follow what is said, and a message keeps its key`() = within {
        ServiceProcess(folder.resolve("service")).use { service ->
            val phone = engine(folder, "phone", service.url)
            val ann = phone.client("ann")
            val talk = ann.createConversation("ben", name = "Boats").conversation
            val timeline = talk.timeline(TimelineOptions())
            val list = ann.conversationList(ListOptions())
            talk.sendText("hello from Kotlin")
            val echo = timeline.states.first { it.items.isNotEmpty() }.items.single()
            val waiting = (echo.kind as TimelineItemKind.Message).message
            assertEquals(Delivery.Waiting(Blocker.Offline), waiting.delivery)
            val row = list.states.first { state -> state.rows.any { it.last != null } }.rows.single()
            assertEquals("hello from Kotlin", row.last?.words)
            assertEquals(1, row.unsent)

            ann.goOnline()
            val online = ann.states.first { it.sync is SyncState.Current && it.outbox.waiting == 0 }
            assertEquals(LinkState.Online, online.link)
            val sent = timeline.states.first { state ->
                val kind = state.items.lastOrNull()?.kind as? TimelineItemKind.Message
                kind?.message?.delivery == Delivery.Sent
            }
            assertEquals(echo.key, sent.items.last().key)
            assertEquals(sent.items.size - 1, sent.indexOf(echo.key))
            phone.shutdown()
        }
    }

    @Test
    fun `a collection is cancelled and begins again without a loss, and ends with the view`() = within {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            val talk = ann.createConversation("ben").conversation
            val timeline = talk.timeline(TimelineOptions(page = 10))
            repeat(20) {
                val collecting = launch { timeline.states.collect {} }
                collecting.cancel()
            }
            repeat(5) { talk.sendText("message $it") }
            val state = timeline.states.first { it.items.size == 5 }
            assertEquals(state.items.map { it.key }.toSet().size, 5)
            val all = async { timeline.states.toList() }
            timeline.end()
            assertTrue(all.await().size <= 1, "it ends, whenever the collection began")
            engine.shutdown()
        }
    }

    @Test
    fun `the outbox says why a message waits, and a feed gives each event once`() = within {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            val feed = ann.feed()
            val talk = ann.createConversation("ben").conversation
            talk.sendText("hello")
            val outbox = ann.outboxList()
            val rows = outbox.states.first { it.rows.size == 2 }.rows
            assertEquals(listOf(OutboxKind.CREATE, OutboxKind.SEND), rows.map { it.kind })
            assertEquals(Delivery.Waiting(Blocker.Offline), rows.last().delivery)
            var said = 0
            feed.batches.first { batch ->
                assertEquals(0, batch.missed)
                said += batch.events.count { it is Event.MessageAdded }
                said > 0
            }
            assertEquals(1, said)
            outbox.end()
            assertEquals(emptyList<OutboxListState>(), outbox.states.toList())
            engine.shutdown()
        }
    }

    private fun within(test: suspend CoroutineScope.() -> Unit) =
        runBlocking { withTimeout(60.seconds, test) }
}

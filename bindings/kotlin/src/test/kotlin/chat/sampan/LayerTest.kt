// The layer's additions to the generated code: days, words, handles that a scope closes, the log of Android.
package chat.sampan

import android.util.Log
import java.nio.file.Path
import java.time.Duration
import java.time.Instant
import java.time.LocalDate
import java.time.ZoneOffset
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class LayerTest {
    @TempDir
    lateinit var folder: Path

    private val evening = Instant.parse("2026-03-01T15:00:00Z")
    private val gap = TimelineItem("gap", TimelineItemKind.Gap(FillState.Idle))
    private val end = TimelineItem("end", TimelineItemKind.Gap(FillState.Waiting))

    @Test
    fun `items fall into days of the screen's time zone`() {
        val night = evening.plus(Duration.ofHours(2))
        val items = listOf(item("a", "ann", evening), gap, item("b", "ann", night), item("c", "ben", night), end)
        val days = items.days(ZoneOffset.ofHours(8))
        assertEquals(listOf(listOf("a"), listOf("gap", "b", "c", "end")), days.map { day -> day.items.map { it.key } })
        assertEquals(listOf(LocalDate.of(2026, 3, 1), LocalDate.of(2026, 3, 2)), days.map { it.date })
        assertEquals(1, items.days(ZoneOffset.UTC).size)
        assertEquals(listOf(TimelineDay(null, listOf(gap))), listOf(gap).days())
        assertEquals(emptyList<TimelineDay>(), emptyList<TimelineItem>().days())
    }

    @Test
    fun `a run ends with another sender and with time`() {
        val items = listOf(
            item("a", "ann", evening),
            item("b", "ann", evening.plusSeconds(60)),
            item("c", "ben", evening.plusSeconds(61)),
            item("d", "ben", evening.plusSeconds(400)),
            gap,
        )
        assertEquals(listOf(false, true, false, true, true, false, false), (-1..5).map { items.beginsRun(it) })
    }

    @Test
    fun `a message that was not sent says why, and whether another try may help`() {
        val lost = Delivery.Failed(SendFailure.Ambiguous, canRetry = true)
        val failed = item("a", "ann", evening, lost).message
        assertEquals(SendFailure.Ambiguous, failed?.failure)
        assertEquals(true, failed?.canRetry)
        val sent = item("b", "ann", evening, Delivery.Sent).message
        assertNull(sent?.failure)
        assertEquals(false, sent?.canRetry)
        assertNull(gap.message)
    }

    @Test
    fun `content has words and a file`() {
        val file = MediaFile(url = "https://x.invalid/a.png", name = "a.png")
        val files = listOf(
            MessageContent.Image(file, "see", Details()),
            MessageContent.Audio(file, "see", Details()),
            MessageContent.Video(file, "see", Details()),
            MessageContent.File(file, "see", Details()),
        )
        for (content in files) {
            assertEquals("see", content.words)
            assertEquals(file, content.file)
            assertFalse(content.isRecalled)
        }
        val place = MessageContent.Location(1.0, 2.0, "here", Details())
        assertEquals("here", place.words)
        assertNull(place.file)
        assertEquals("so", MessageContent.Plain("so").words)
        assertNull(MessageContent.Binary(byteArrayOf(1)).words)
        assertNull(MessageContent.Custom(7, "{}").words)
        assertTrue(MessageContent.Recalled(null, Details()).isRecalled)
    }

    @Test
    fun `a scope closes the handles that it was given`() = runBlocking {
        withTimeout(60.seconds) {
            engine(folder, "phone").use { engine ->
                val ann = engine.client("ann")
                val scope = CoroutineScope(Dispatchers.Default + Job())
                val talk = ann.createConversation("ben").conversation.closeWith(scope)
                val rows = ann.conversationList().closeWith(scope).statesIn(scope)
                assertEquals(1, rows.first { it.rows.isNotEmpty() }.rows.size)
                val items = talk.timeline().closeWith(scope).statesIn(scope)
                talk.sendText("hello")
                assertEquals(1, items.first { it.items.isNotEmpty() }.items.size)
                val outbox = ann.outboxList().closeWith(scope).statesIn(scope)
                assertEquals(2, outbox.first { it.rows.isNotEmpty() }.rows.size)
                val state = ann.statesIn(scope)
                assertEquals(LinkState.Off, state.value.link)
                checkNotNull(scope.coroutineContext[Job]).cancelAndJoin()
                assertTrue(runCatching { talk.conversationId() }.exceptionOrNull() is IllegalStateException)
                // A scope that is over closes at once.
                val late = ann.conversation(rows.value.rows.single().conversation).closeWith(scope)
                assertTrue(runCatching { late.conversationId() }.exceptionOrNull() is IllegalStateException)
                engine.shutdown()
            }
        }
    }

    @Test
    fun `the log of the system gets the notes and what was dropped`() {
        Log.lines.clear()
        val levels = listOf(LogLevel.ERROR, LogLevel.WARN, LogLevel.INFO, LogLevel.DEBUG)
        val records = levels.map { LogRecord(evening, it, "sampan::net", "$it") }
        SystemLog("tea").log(records, 3)
        val priorities = listOf(6, 5, 4, 3)
        val lines = levels.zip(priorities) { level, priority -> "$priority tea sampan::net: $level" }
        assertEquals(lines + "5 tea 3 notes were dropped", Log.lines)
    }

    private fun item(key: String, sender: ClientId, at: Instant, delivery: Delivery? = null) = TimelineItem(
        key,
        TimelineItemKind.Message(
            Message(
                key, "c", null, null, sender, false, at, MessageContent.Plain(key), null, Mentions(), false,
                delivery, null, null, null,
            ),
        ),
    )
}

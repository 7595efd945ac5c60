// The caches that older SDKs left on a phone, taken over.
package chat.sampan

import java.io.File
import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class LegacyTest {
    @TempDir
    lateinit var folder: Path

    /** D06: each of the caches has five messages, a message that was never sent, and a row that nothing is made of. */
    @Test
    fun `an old cache is cancelled, taken over, and shows nothing new a second time`() = within {
        val kinds = mapOf(
            "java" to LegacyKind.JAVA, "objective-c" to LegacyKind.OBJECTIVE_C, "swift" to LegacyKind.SWIFT,
        )
        for ((name, kind) in kinds) {
            val file = File("../../tests/fixtures/caches/$name.sqlite")
            val before = file.readBytes()
            val source = LegacySource(file, LegacyScope.ALL_CONVERSATIONS)
            engine(folder, name).use { engine ->
                val ann = engine.client("ann")
                val cancelled = LegacyWatch()
                cancelled.cancel()
                val nothing = ann.importLegacy(source, cancelled)
                assertTrue(nothing.isCancelled, name)
                assertEquals(0L, nothing.messages.stored + nothing.drafts.stored + cancelled.progress().stored, name)

                val watch = LegacyWatch()
                val report = ann.importLegacy(source, watch)
                assertEquals(kind, report.kind)
                assertFalse(report.isCancelled, name)
                assertEquals(LegacyCounts(5, 0, 0), report.messages, name)
                assertEquals(LegacyCounts(1, 0, 0), report.drafts, name)
                assertEquals(8L, report.rows, name)
                assertEquals(1, report.left.size, name)
                assertEquals(emptyList<String>(), report.damage, name)
                assertEquals(LegacyProgress(8, 8, 6, 6), watch.progress(), name)

                val talk = ann.conversation("tea")
                assertEquals("Tea", talk.info().name)
                val timeline = talk.timeline()
                val words = listOf("one", "two", "plain three", "vier, 四, four", null, "never sent")
                val shown = timeline.states.first { messages(it).size == 6 }
                assertEquals(words, messages(shown).map { words(it.content) }, name)
                assertTrue(messages(shown)[4].content is MessageContent.Recalled, name)
                assertEquals(listOf("m1", "m2", "m3", "m4", "m5", null), messages(shown).map { it.reference?.id }, name)
                assertTrue(ann.outbox().single().state is OutboxState.Failed, "it is not sent by itself")
                assertEquals(0, ann.unreadTotals().all.conversations, name)

                val again = ann.importLegacy(source)
                assertEquals(LegacyCounts(0, 0, 5), again.messages, name)
                assertEquals(LegacyCounts(0, 0, 1), again.drafts, name)
                assertEquals(messages(shown), messages(timeline.states.first()), name)
                assertEquals(1, ann.outbox().size)
                assertArrayEquals(before, file.readBytes(), "the cache is not changed")
                engine.shutdown()
            }
        }
    }

    private fun messages(state: TimelineState): List<Message> =
        state.items.mapNotNull { (it.kind as? TimelineItemKind.Message)?.message }

    private fun words(content: MessageContent): String? = when (content) {
        is MessageContent.Text -> content.text
        is MessageContent.Plain -> content.text
        else -> null
    }

    private fun within(test: suspend CoroutineScope.() -> Unit) =
        runBlocking { withTimeout(60.seconds, test) }
}

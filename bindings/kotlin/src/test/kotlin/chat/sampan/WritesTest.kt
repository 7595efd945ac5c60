// The writes of an app, each with its effect on the other device.
package chat.sampan

import java.nio.file.Path
import java.time.Instant
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.mapNotNull
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class WritesTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `an edit and a recall show on the other device`() = pair {
        val mine = talk.timeline()
        val theirs = bens.timeline()
        talk.sendText("one")
        talk.sendText("two")
        val first = mine.shows("one")
        val second = mine.shows("two")
        theirs.shows("two")
        talk.edit(first.key, MessageContent.Text("one, mended", Details()))
        assertNotNull(theirs.shows("one, mended").editedAt)
        talk.recall(second.key)
        theirs.states.first { state -> state.items.any { it.message?.content?.isRecalled == true } }
        until { ann.outbox().isEmpty() }
        assertEquals("one, mended", talk.message(first.key).message?.content?.words)
        assertNull(talk.message(first.key).message?.change)
        val reference = talk.message(first.key).message!!.reference!!
        assertEquals(reference, parseMessageLink(reference.link()))
        val answer = talk.sendText("three", replyTo = first.key)
        assertEquals(first.key, answer.message.replyTo?.message)
        assertTrue(talk.info().seq >= answer.seq)
        assertTrue(ann.state().seq >= answer.seq)
        assertTrue(talk.message(answer.message.key).seq >= answer.seq)
    }

    @Test
    fun `a name, attributes and members change for all`() = pair {
        talk.setName("Ships")
        talk.setAttributes("""{"topic":"rigging"}""")
        talk.addMembers(listOf("cat"))
        until { bens.info().let { it.name == "Ships" && it.attributes != null && "cat" in it.members } }
        assertEquals("""{"topic":"rigging"}""", bens.info().attributes)
        talk.removeMembers(listOf("cat"))
        until { "cat" !in bens.info().members }
        bens.quit()
        assertEquals(ConversationState.Left, bens.info().state)
        until { "ben" !in talk.info().members }
        val again = ben.join(bens.conversationId())
        assertEquals(ConversationState.Live, again.info().state)
        until { "ben" in talk.info().members }
        bens.quit()
        bens.join()
        until { ben.outbox().isEmpty() }
        assertTrue("ben" in bens.info().members)
    }

    @Test
    fun `muting, pinning and hiding are this client's alone`() = pair {
        talk.setMuted(true)
        talk.setPinned(true)
        val list = ann.conversationList()
        val row = list.states.first { state -> state.rows.any { it.muted && it.pinned } }.rows.single()
        assertEquals("Boats", row.name)
        talk.setMuted(false)
        until { ann.outbox().isEmpty() }
        assertFalse(talk.info().muted)
        talk.setHidden(true)
        list.states.first { it.rows.isEmpty() }
        assertFalse(bens.info().muted)
        list.end()
    }

    @Test
    fun `marks of several conversations are one call, and typing is seen`() = pair {
        val theirs = bens.timeline(TimelineOptions(readVisible = false))
        talk.setTyping(true)
        assertEquals(listOf("ann"), theirs.states.first { it.typing.isNotEmpty() }.typing)
        talk.setTyping(false)
        talk.sendText("read me")
        theirs.shows("read me")
        until { ben.unreadTotals().all.messages == 1 }
        ben.markAllRead(listOf(bens.conversationId()))
        assertEquals(0, ben.unreadTotals().all.messages)
        until { ben.outbox().isEmpty() }
        talk.fetchReceipts()
    }

    @Test
    fun `send options make a call that is repeated send once, and a transient message is kept nowhere`() = pair {
        val once = NewMessage(MessageContent.Text("once", Details()), options = SendOptions(localId = "app-1"))
        val added = talk.feed(listOf(EventKind.MESSAGE_ADDED))
        val sent = talk.send(once)
        assertEquals(1, added.next(0, 10)?.events?.size)
        assertTrue(ann.commitSeq() >= sent.seq)
        assertEquals(sent.message.localId, talk.send(once).message.localId)
        assertEquals("once", talk.message(sent.message.key).message?.content?.words)
        bens.timeline().shows("once")
        val feed = ben.feed()
        val wave = NewMessage(
            MessageContent.Text("wave", Details()),
            options = SendOptions(transient = true, priority = Priority.HIGH),
        )
        assertNull(talk.send(wave).entry)
        val told = feed.batches.mapNotNull { batch ->
            batch.events.firstNotNullOfOrNull { it as? Event.TransientMessage }
        }.first()
        assertEquals("wave", told.message.content.words)
        talk.send(NewMessage(MessageContent.Text("gone", Details()), options = SendOptions(will = true)))
        assertEquals(listOf("once"), talk.timeline().states.first().items.mapNotNull { it.words() })
    }

    @Test
    fun `a message that could not be made ready is kept, sent again and removed`() = pair {
        val mine = talk.timeline()
        val theirs = bens.timeline()
        talk.keepFailed(NewMessage(MessageContent.Text("with a file", Details())), "the file is gone")
        val failed = mine.shows("with a file")
        assertEquals(SendFailure.Unsendable("the file is gone"), failed.failure)
        talk.retry(failed.key)
        theirs.shows("with a file")
        val sent = mine.states.mapNotNull { state -> state.items.firstNotNullOfOrNull { it.message } }
            .first { it.reference != null }
        assertEquals(failed.key, sent.key)
        talk.remove(sent.key)
        mine.states.first { state -> state.items.none { it.message?.key == sent.key } }
        assertNull(talk.message(sent.key).message)

        talk.keepFailed(NewMessage(MessageContent.Text("never mind", Details())), "no")
        assertEquals(Discarded.NEVER_SENT, talk.discard(mine.shows("never mind").key).discarded)
    }

    @Test
    fun `a file on the web and one of bytes arrive, and history is asked for by kind`() = pair {
        val theirs = bens.timeline()
        val web = NewMedia(MediaSource.Url("https://x.invalid/a.png"), kind = MediaKind.IMAGE, caption = "on the web")
        talk.sendMedia(web)
        assertEquals("https://x.invalid/a.png", theirs.shows("on the web").content.file?.url)
        val bytes = "hello".toByteArray()
        val own = NewMedia(MediaSource.Bytes(bytes), kind = MediaKind.FILE, name = "a.txt", caption = "of bytes")
        talk.sendMedia(own)
        val file = checkNotNull(theirs.shows("of bytes").content.file)
        assertArrayEquals(bytes, java.net.URI(file.url).toURL().readBytes())
        talk.sendText("and words")
        theirs.shows("and words")
        val images = bens.queryHistory(HistoryQuery(contentType = -2))
        assertEquals(listOf("on the web"), images.map { it.content.words })
    }

    @Test
    fun `what a push brought is kept until history has it`() = pair {
        val at = Instant.now().minusSeconds(3_600).truncatedTo(java.time.temporal.ChronoUnit.MILLIS)
        val content = MessageContent.Text("from a push", Details())
        talk.keep(ForeignMessage(talk.info().id, "push-message-0001", "ben", at, content))
        val items = talk.timeline(TimelineOptions(fillVisible = false)).states.first().items
        assertEquals(listOf("from a push"), items.mapNotNull { it.words() })
        assertTrue(items.size <= 2, "$items")
    }

    @Test
    fun `an entry of the outbox is tried again or given up`() = pair {
        ann.goOffline()
        ann.state().let { assertEquals(LinkState.Off, it.link) }
        val sent = talk.sendText("never mind")
        val entry = checkNotNull(sent.entry)
        assertTrue(runCatching { ann.retry(entry) }.exceptionOrNull() is SampanException.NotPossible)
        ann.discard(entry)
        assertEquals(emptyList<OutboxEntry>(), ann.outbox())
        talk.setDraft(Draft("half a thou"))
        until { talk.draft()?.text == "half a thou" }
        talk.setDraft(null)
        until { talk.draft() == null }
    }

    /** S171, S317: a registered kind comes to its handlers as its own value, everything else to those of others. */
    @Test
    fun `a kind that the app registers comes to its handlers as its own value`() = pair {
        val dishes = MessageKind(7, { Dish(it.substringAfter("\"name\":\"").substringBefore('"')) }) { """{"name":"${it.name}"}""" }
        val heard = mutableListOf<String>()
        val handlers = MessageHandlers()
        handlers.on(dishes) { dish, message -> heard.add("${message.sender} cooks ${dish.name}") }
        handlers.on(dishes) { dish, _ -> heard.add("again ${dish.name}") }
        handlers.on(MessageContent.Text("", Details()).number!!) { heard.add("says ${it.content.words}") }
        handlers.otherwise { heard.add("other ${it.content.number} ${it.content.words}") }
        val feed = ben.feed(listOf(EventKind.MESSAGE_ADDED))
        talk.send(NewMessage(dishes.content(Dish("soup"))))
        talk.sendText("tea")
        talk.send(NewMessage(MessageContent.Custom(8, "{}")))
        talk.send(NewMessage(MessageContent.Plain("plain")))
        var last = 0L
        while (heard.size < 5) {
            val batch = feed.next(last)!!
            last = batch.last
            batch.events.filterIsInstance<Event.MessageAdded>().forEach { handlers.handle(it.message) }
        }
        assertEquals(listOf("ann cooks soup", "again soup", "says tea", "other 8 null", "other null plain"), heard)
        assertNull(dishes.valueOf(MessageContent.Custom(8, "{}")))
    }

    /** The newest message with these words, as soon as the timeline has one. */
    private suspend fun Timeline.shows(words: String): Message = states
        .mapNotNull { state -> state.items.mapNotNull { it.message }.lastOrNull { it.content.words == words } }
        .first()

    private fun pair(test: suspend WritesScope.() -> Unit) = runBlocking {
        withTimeout(60.seconds) {
            ServiceProcess(folder.resolve("service")).use { service ->
                val phone = engine(folder, "phone", service.url)
                val laptop = engine(folder, "laptop", service.url)
                val (ann, ben) = Pair(phone.online("ann"), laptop.online("ben"))
                val talk = ann.createConversation("ben", name = "Boats").conversation
                while (ann.outbox().isNotEmpty() || ben.conversationList().states.first().rows.isEmpty()) {
                    delay(10.milliseconds)
                }
                val bens = ben.conversation(talk.info().id)
                WritesScope(this, ann, ben, talk, bens).test()
                phone.shutdown()
                laptop.shutdown()
            }
        }
    }
}

/** A kind of message of this app's own. */
private data class Dish(val name: String)

/** Ann on one device, Ben on another, and a conversation that both have. */
class WritesScope(
    scope: CoroutineScope,
    val ann: Client,
    val ben: Client,
    val talk: Conversation,
    val bens: Conversation,
) : CoroutineScope by scope {
    /** Waits until something is true; the test's own limit ends it. */
    suspend fun until(holds: suspend () -> Boolean) {
        while (!holds()) delay(10.milliseconds)
    }
}

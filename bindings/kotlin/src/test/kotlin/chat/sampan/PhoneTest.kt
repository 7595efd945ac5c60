// An app on a phone beside chatting: pushes, presence, plug-ins, files that come down, rooms.
package chat.sampan

import java.nio.file.Path
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class PhoneTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `a push is read, and its message counts once`() = within { service ->
        val inbox = folder.resolve("inbox").toFile()
        val phone = Engine.open(config(folder, "phone", service.url).copy(inboxFolder = inbox))
        val laptop = engine(folder, "laptop", service.url)
        val (ann, ben) = Pair(phone.online("ann"), laptop.online("ben"))
        val talk = ben.createConversation("ann").conversation
        talk.sendText("one")
        ann.states.first { it.unread.all.messages == 1 }
        until { ben.outbox().isEmpty() }
        phone.pause()
        ExtensionInbox.open(inbox, "kotlin", "ann", null).use { extension ->
            assertEquals(1, extension.unread().unmuted.messages)
            val id = talk.info().id
            val glance = checkNotNull(extension.glance(id))
            assertEquals("ben", glance.peer)
            assertNull(extension.glance("5a0000000000000000000000"))
            val payload = """{"convId":"$id","fromClientId":"ben","timestamp":${System.currentTimeMillis() + 60_000},"messageId":"m2"}"""
            val hint = checkNotNull(readPush(payload))
            assertEquals("ben", hint.sender)
            assertEquals(2, extension.arrived(hint).unmuted.messages)
            assertEquals(2, extension.arrived(hint).unmuted.messages, "the same push again")
            assertNull(readPush("""{"aps":{"alert":"another app's"}}"""))
        }
        phone.shutdown()
        val device = PushDevice(PushPlatform.ANDROID, "token")
        assertTrue(runCatching { ann.registerPush(device) }.exceptionOrNull() is SampanException.ShutDown)
        laptop.shutdown()
    }

    @Test
    fun `who is online is asked and watched`() = within { service ->
        val phone = engine(folder, "phone", service.url)
        val laptop = engine(folder, "laptop", service.url)
        val (ann, ben) = Pair(phone.online("ann"), laptop.online("ben"))
        assertEquals(listOf("ben"), ann.onlineOf(listOf("ben", "cat")))
        ann.watch(listOf("ben"))
        assertEquals(listOf("ben"), ann.watched().map { it.client })
        ann.unwatch(listOf("ben"))
        assertEquals(emptyList<WatchedClient>(), ann.watched())
        assertEquals("ben", ben.clientId())
        phone.shutdown()
        laptop.shutdown()
    }

    @Test
    fun `a plug-in reads and changes what arrives`() = within { service ->
        val plugin = Marker()
        val phone = Engine.openWithPlugins(config(folder, "phone", service.url), listOf(plugin))
        val laptop = engine(folder, "laptop", service.url)
        val (ann, ben) = Pair(phone.online("ann"), laptop.online("ben"))
        ben.createConversation("ann").conversation.sendText("tea")
        val list = ann.conversationList()
        assertEquals("tea, marked", list.states.first { it.rows.firstOrNull()?.last != null }.rows.single().last?.words)
        assertTrue(plugin.clients.contains("ann"))
        phone.shutdown()
        laptop.shutdown()
    }

    /** S325: the kinds that a plug-in brings are registered with it; those of a plug-in without kinds are none. */
    @Test
    fun `the kinds that a plug-in brings come to its handlers as its own values`() = within { service ->
        val dice = Dice()
        val plugins = listOf(dice, Marker())
        val phone = Engine.openWithPlugins(config(folder, "phone", service.url), plugins)
        val laptop = engine(folder, "laptop", service.url)
        val (ann, ben) = Pair(phone.online("ann"), laptop.online("ben"))
        val handlers = MessageHandlers(plugins)
        val others = mutableListOf<String?>()
        handlers.otherwise { others.add(it.content.words) }
        val feed = ann.feed(listOf(EventKind.MESSAGE_ADDED))
        val talk = ben.createConversation("ann").conversation
        talk.send(NewMessage(dice.kind.content(6)))
        talk.sendText("lucky")
        var last = 0L
        while (others.isEmpty() || dice.thrown.isEmpty()) {
            val batch = feed.next(last)!!
            last = batch.last
            batch.events.filterIsInstance<Event.MessageAdded>().forEach { handlers.handle(it.message) }
        }
        assertEquals(listOf(6), dice.thrown)
        assertEquals(listOf("lucky, marked"), others)
        phone.shutdown()
        laptop.shutdown()
    }

    @Test
    fun `a file comes down once and its way ends`() = within { service ->
        val phone = engine(folder, "phone", service.url)
        val ann = phone.online("ann")
        val gone = ann.download(MediaFile(url = "http://127.0.0.1:9/none.png"))
        val last = gone.states.toList().last()
        assertTrue(last.phase is DownloadPhase.Failed, "$last")
        assertTrue(runCatching { gone.file() }.isFailure)
        gone.cancel()
        phone.shutdown()
    }

    @Test
    fun `a room shows what was said before one came in`() = within { service ->
        val phone = engine(folder, "phone", service.url)
        val laptop = engine(folder, "laptop", service.url)
        val (ann, ben) = Pair(phone.online("ann"), laptop.online("ben"))
        val room = ann.createConversation(NewConversation(ConversationKind.CHAT_ROOM, name = "Hall")).conversation
        room.sendText("before")
        until { ann.outbox().isEmpty() }
        val bens = ben.join(room.info().id)
        until { ben.outbox().isEmpty() }
        assertTrue(bens.fetchNewest(10) >= 1)
        assertEquals("before", bens.timeline().states.first { it.items.isNotEmpty() }.items.last().message?.content?.words)
        assertTrue("ben" in bens.inside(10))
        phone.shutdown()
        laptop.shutdown()
    }

    private fun within(test: suspend CoroutineScope.(ServiceProcess) -> Unit) = runBlocking {
        withTimeout(60.seconds) { ServiceProcess(folder.resolve("service")).use { test(it) } }
    }

    private suspend fun until(holds: suspend () -> Boolean) {
        while (!holds()) delay(10.milliseconds)
    }
}

/** Brings a kind of message: the throw of a die. */
private class Dice : KindPlugin {
    val kind = MessageKind(9, { json: Json -> json.substringAfter("\"points\":").takeWhile(Char::isDigit).toInt() }) { """{"points":$it}""" }
    val thrown = mutableListOf<Int>()

    override fun register(handlers: MessageHandlers) {
        handlers.on(kind) { points, _ -> thrown.add(points) }
    }

    override fun name() = "dice"

    override fun engineCreated(engine: Engine) {}

    override fun clientCreated(client: Client) {}

    override fun conversationCreated(conversation: Conversation) {}

    override suspend fun beforeParse(payload: Json): Json = payload

    override suspend fun afterParse(message: ParsedMessage): MessageContent = message.content
}

/** Puts a mark behind each text. */
private class Marker : EnginePlugin {
    val clients: MutableList<String> = java.util.Collections.synchronizedList(mutableListOf())

    override fun name() = "marker"

    override fun engineCreated(engine: Engine) {}

    override fun clientCreated(client: Client) {
        clients.add(client.clientId())
    }

    override fun conversationCreated(conversation: Conversation) {}

    override suspend fun beforeParse(payload: Json): Json = payload

    override suspend fun afterParse(message: ParsedMessage): MessageContent {
        val content = message.content
        return if (content is MessageContent.Text) content.copy(text = content.text + ", marked") else content
    }
}

// The engine from Kotlin on the JVM, against a real service.
package chat.sampan

import java.io.File
import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.mapNotNull
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class ChatTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `what one client sends another receives and reads`() = chat {
        ServiceProcess(folder.resolve("service")).use { service ->
            val phone = engine(folder, "phone", service.url)
            val laptop = engine(folder, "laptop", service.url)
            val ann = phone.online("ann")
            val ben = laptop.online("ben")
            // Undispatched: the collection has begun when `async` returns.
            val told = async(start = CoroutineStart.UNDISPATCHED) {
                ben.events().mapNotNull { it.words() }.first()
            }
            val created = ann.createConversation("ben", name = "Boats")
            val sent = created.conversation.sendText("hello from Kotlin")
            assertTrue(sent.message.delivery is Delivery.Waiting)
            assertEquals("hello from Kotlin", told.await())

            val info = ben.named()
            assertEquals("Boats", info.name)
            ben.conversation(info.conversation).use { talk ->
                val items = talk.timeline().states.first().items
                assertEquals(listOf("hello from Kotlin"), items.mapNotNull { it.words() })
                assertEquals(1, ben.unreadTotals().all.messages)
                talk.markRead()
                assertEquals(0, ben.unreadTotals().all.messages)
            }
            phone.shutdown()
            laptop.shutdown()
            assertEquals(SampanException.ShutDown::class, failure { ann.outbox() }::class)
        }
    }

    @Test
    fun `events come one by one and in order`() = chat {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            val heard = async(start = CoroutineStart.UNDISPATCHED) {
                ann.events().mapNotNull { it.words() }.take(3).toList()
            }
            val talk = ann.createConversation("ben").conversation
            val texts = listOf("one", "two", "three")
            texts.forEach { talk.sendText(it) }
            assertEquals(texts, heard.await())
            engine.shutdown()
        }
    }

    @Test
    fun `a call that may last ends when its coroutine is cancelled`() = chat {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            ann.goOnline()
            // Nobody listens there, so the session never opens.
            val waiting = launch(start = CoroutineStart.UNDISPATCHED) { ann.waitOnline() }
            waiting.cancelAndJoin()
            assertTrue(waiting.isCancelled)
            engine.shutdown()
        }
    }

    @Test
    fun `an observer that throws is called again`() = chat {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            val heard = Channel<String>(Channel.UNLIMITED)
            val subscription = ann.observe(object : EventObserver {
                override fun onEvents(events: List<Event>) {
                    events.mapNotNull { it.words() }.forEach { heard.trySend(it) }
                    error("an app that does not know what to do")
                }
            })
            val talk = ann.createConversation("ben").conversation
            for (text in listOf("one", "two")) {
                talk.sendText(text)
                assertEquals(text, heard.receive())
            }
            subscription.use { it.cancel() }
            engine.shutdown()
        }
    }

    // D09: work that an extension leaves is unsent work of the app.
    @Test
    fun `what an extension left is in the outbox when the client opens`() = chat {
        val inbox = folder.resolve("inbox").toFile()
        val config = config(folder, "phone").copy(inboxFolder = inbox, diskBudget = 64L * 1024L * 1024L)
        val talk = "5a0000000000000000000000"
        val localId = ExtensionInbox.open(inbox, config.appId, "ann", null).use { left ->
            left.sendText(talk, "from an extension")
        }
        Engine.open(config).use { engine ->
            val ann = engine.client("ann")
            assertEquals(listOf(localId), ann.outbox().map { it.localId })
            assertEquals(1, ann.inboxReport().imported)
            assertEquals(0, ann.importInbox().imported)
            ann.compact()
            val usage = ann.storageUsage()
            assertEquals(1L, usage.unsent)
            assertEquals(config.diskBudget, usage.budgetBytes)
            engine.shutdown()
        }
    }

    @Test
    fun `errors have their own types and say what is wrong`() = chat {
        engine(folder, "phone").use { engine ->
            assertEquals(
                "invalid argument: a client id must be 1 to 64 characters long, got 0",
                failure { engine.client("") }.toString(),
            )
            assertThrows(SampanException.InvalidArgument::class.java) {
                Engine.open(Config("", HiddenText("key"), ServerAddress.Router("http://x.invalid"), File("x")))
            }
            val ann = engine.client("ann")
            val unknown = "5a0000000000000000000000"
            val gone = failure { ann.conversation(unknown).info() } as SampanException.NotFound
            assertEquals(Subject.CONVERSATION, gone.what)
            assertEquals("the conversation is not there", gone.message)
            assertFalse(gone.isRetryable())
            assertTrue(failure { ann.fetchConversation(unknown) } is SampanException.NotConnected)
            val desk = ClientOptions(tag = "desk")
            assertTrue(failure { engine.client("ann", desk) } is SampanException.TagMismatch)
            engine.shutdown()
        }
    }

    @Test
    fun `a configuration has defaults and shows no secret`() = chat {
        val server = ServerAddress.Router("http://x.invalid")
        val config = Config("kotlin", HiddenText("hush-hush-key"), server, File("x"))
        assertEquals(hostedLimits(), config.limits)
        assertEquals(OfflineMode.UNREAD to PayloadEncoding.BINARY, config.offlineMode to config.payload)
        assertEquals(InsecureConnections.LOOPBACK_ONLY to TrustedRoots.Web, config.insecure to config.trust)
        assertEquals(listOf(16L shl 20, 256L shl 20), listOf(config.cacheBytes, config.fileCacheBytes).map { it.toLong() })
        assertTrue(config.legacyFileFolders.isEmpty())
        assertEquals(listOf(null, null, null), listOf(config.inboxFolder, config.diskBudget, config.apiUrl))
        assertEquals("hush-hush-key", config.appKey.reveal)
        val options = ClientOptions(storeKey = HiddenText("hush-hush-store"))
        val signature = OperationSignature(HiddenText("hush-hush-signature"), 0, "n")
        for (shown in listOf(config.toString(), options.toString(), signature.toString())) {
            assertTrue("hidden" in shown && "hush-hush" !in shown, shown)
        }
    }

    @Test
    fun `handles of the same are equal and are found in a map`() = chat {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            val again = engine.client("ann")
            assertEquals(ann, again)
            assertEquals("Client(ann)", again.toString())
            val talk = ann.createConversation("ben").conversation
            val twin = again.conversation(talk.conversationId())
            assertEquals("draft", mapOf(talk to "draft")[twin])
            assertFalse(talk == ann.createConversation("cat").conversation)
            engine.shutdown()
        }
    }

    @Test
    fun `what people write arrives as it was written`() = chat {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann-\uD83D\uDEA4")
            val family = "\uD83D\uDC68\u200D\uD83D\uDC69\u200D\uD83D\uDC67 e\u0301 \u202Ertl"
            val talk = ann.createConversation("ben", name = family).conversation
            assertEquals(family, talk.info().name)
            talk.sendText(family)
            assertEquals(listOf(family), talk.timeline().states.first().items.mapNotNull { it.words() })
            engine.shutdown()
        }
    }

    /**
     * The client's one conversation, as soon as the service has told what it is called: a message
     * may come before that, and then the conversation is in the list without a name.
     */
    private suspend fun Client.named(): ConversationRow =
        conversationList().states.mapNotNull { it.rows.singleOrNull() }.first { it.name != null }

    private fun chat(test: suspend kotlinx.coroutines.CoroutineScope.() -> Unit) = runBlocking {
        withTimeout(60.seconds) { test() }
    }

    private suspend fun failure(call: suspend () -> Any): SampanException {
        try {
            call()
        } catch (error: SampanException) {
            return error
        }
        throw AssertionError("it threw nothing")
    }
}

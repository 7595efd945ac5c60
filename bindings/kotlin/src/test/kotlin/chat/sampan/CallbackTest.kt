// The interfaces that an app implements: a signer, and a sink for notes; and times as they cross.
package chat.sampan

import java.io.File
import java.nio.file.Path
import java.time.Duration
import java.time.Instant
import java.util.Collections
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec
import kotlin.concurrent.thread
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.GlobalScope
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class CallbackTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `a signer brings what the service wants signed and is asked again after it threw`() = test {
        val settings = """{"kotlin":{"signatures":{"login":true,"conversation":true}}}"""
        ServiceProcess(folder.resolve("service"), settings).use { service ->
            val office = Office(failures = 1)
            val engine = engine(folder, "phone", service.url)
            val ann = engine.client("ann", ClientOptions(signer = office))
            val talk = ann.createConversation("ben").conversation
            assertEquals(emptyList<SigningRequest>(), office.asked)
            ann.goOnline()
            ann.waitOnline()
            until { ann.outbox().isEmpty() }
            val signIn = SigningRequest.SignIn("ann")
            val start = SigningRequest.StartConversation("ann", listOf("ann", "ben"))
            assertEquals(listOf(signIn, signIn, start), office.asked)
            assertEquals(ConversationState.Live, talk.info().state)
            engine.shutdown()
        }
    }

    @Test
    fun `notes reach the app's sink and hold no secrets`() = test {
        val notes = Collections.synchronizedList(mutableListOf<LogRecord>())
        setLogSink(
            object : LogSink {
                override fun log(records: List<LogRecord>, dropped: Int) {
                    notes.addAll(records)
                    error("an app that does not know what to do")
                }
            },
            LogLevel.DEBUG,
        )
        val engine = engine(folder, "phone")
        val ann = engine.client("ann")
        ann.createConversation("ben").conversation.sendText("nobody else's business")
        ann.goOnline()
        // Nobody listens there, which is worth a note, and a reason that can be asked for.
        until { notes.toList().any { it.level == LogLevel.WARN } }
        for (note in notes.toList()) {
            assertTrue(note.target.startsWith("sampan"), note.target)
            assertFalse("kotlin-key" in note.text, note.text)
            assertFalse("business" in note.text, note.text)
        }
        assertTrue(engine.connectionFailure() is ConnectionFailure.Unreachable)
        engine.shutdown()
    }

    @Test
    fun `times are instants and come back as they were`() = test {
        val engine = engine(folder, "phone")
        val ann = engine.client("ann")
        val talk = ann.createConversation("ben").conversation
        val sent = talk.sendText("now").message
        assertTrue(Duration.between(sent.sentAt, Instant.now()).abs() < Duration.ofMinutes(10))
        talk.markReadUntil(sent.sentAt)
        talk.markReadUntil(Instant.ofEpochMilli(Long.MAX_VALUE))
        engine.shutdown()
    }

    @Test
    fun `a resumed call runs on no thread that another call needs`() = test {
        val engine = engine(folder, "phone")
        val ann = engine.client("ann")
        val talk = ann.createConversation("ben").conversation
        val threads = mutableListOf<String>()
        val inner = CompletableDeferred<SentMessage>()
        val stay = CountDownLatch(1)
        val resumed = CountDownLatch(30)
        val own = nativeThread()
        // Unconfined: the code after a call runs where the call was woken, or on the thread that called
        // when the answer was there at once.
        GlobalScope.launch(Dispatchers.Unconfined) {
            talk.sendText("one")
            threads.add(nativeThread())
            talk.info()
            threads.add(nativeThread())
            inner.complete(runBlocking { talk.sendText("from inside a resumed call") })
        }
        assertTrue(inner.await().message.delivery is Delivery.Waiting)
        assertEquals(2, threads.size)
        assertEquals(emptySet<String>(), threads.toSet() - setOf("sampan-caller", own))
        // Slow code of the app in many resumed calls at once holds up nobody.
        repeat(30) {
            // A thread of its own: an answer that is there at once goes on where the call was made.
            thread(isDaemon = true) {
                GlobalScope.launch(Dispatchers.Unconfined) {
                    ann.unreadTotals()
                    resumed.countDown()
                    stay.await()
                }
            }
        }
        assertTrue(resumed.await(60, TimeUnit.SECONDS))
        talk.sendText("beside them")
        assertEquals(3, talk.timeline().states.first().items.size)
        stay.countDown()
        engine.shutdown()
    }

    @Test
    fun `a collection that ends ends its subscription`() = test {
        val engine = engine(folder, "phone")
        val ann = engine.client("ann")
        val collected = async(start = CoroutineStart.UNDISPATCHED) { ann.events().first() }
        val cancelled = launch(start = CoroutineStart.UNDISPATCHED) { engine.events().collect {} }
        // An observer has a thread as long as its subscription lasts.
        until { nativeThreads().count { it == "sampan-notifier" } == 2 }
        ann.createConversation("ben")
        collected.await()
        cancelled.cancelAndJoin()
        until { "sampan-notifier" !in nativeThreads() }
        engine.shutdown()
    }

    @Test
    fun `a collection has subscribed before it first waits`() = test {
        val engine = engine(folder, "phone")
        val ann = engine.client("ann")
        val threads = nativeThreads().count { it == "sampan-notifier" }
        val collected = async(start = CoroutineStart.UNDISPATCHED) { ann.events().first() }
        // Nothing was suspended since then, so no other coroutine of this thread has run.
        assertEquals(threads + 1, nativeThreads().count { it == "sampan-notifier" })
        ann.createConversation("ben")
        collected.await()
        engine.shutdown()
    }

    @Test
    fun `a subscription that can't be made is the collection's failure`() = test {
        val refused = runCatching { eventFlow { throw SampanException.NoResources("threads") }.first() }
        assertTrue(refused.exceptionOrNull() is SampanException.NoResources, "$refused")
    }

    @Test
    fun `a conversation has the name and the attributes that the layer was given`() = test {
        val engine = engine(folder, "phone")
        val attributes = """{"topic":"boats"}"""
        val made = engine.client("ann").createConversation("ben", "cat", name = "Boats", attributes = attributes)
        val info = made.conversation.info()
        assertEquals(attributes, info.attributes)
        assertEquals("Boats", info.name)
        assertEquals(setOf("ann", "ben", "cat"), info.members.toSet())
        engine.shutdown()
    }

    private fun nativeThreads() = File("/proc/self/task").listFiles().orEmpty()
        .mapNotNull { task -> runCatching { File(task, "comm").readText().trim() }.getOrNull() }

    /** The name that the engine gave the thread; the JVM has its own for it. */
    private fun nativeThread() = File("/proc/thread-self/comm").readText().trim()

    private fun test(body: suspend CoroutineScope.() -> Unit) = runBlocking {
        withTimeout(60.seconds) { body() }
    }

    private suspend fun until(holds: suspend () -> Boolean) {
        while (!holds()) delay(10.milliseconds)
    }
}

/** The app's own server, which has the master key; it throws as often as it was told to. */
private class Office(failures: Int) : Signer {
    val asked: MutableList<SigningRequest> = Collections.synchronizedList(mutableListOf())
    private val failures = AtomicInteger(failures)

    override suspend fun sign(request: SigningRequest): OperationSignature {
        asked.add(request)
        check(failures.getAndDecrement() <= 0) { "the office is closed" }
        val now = Instant.now().toEpochMilli()
        val text = when (request) {
            is SigningRequest.SignIn -> "kotlin:${request.client}::$now:n"
            is SigningRequest.StartConversation ->
                "kotlin:${request.client}:${request.members.sorted().joinToString(":")}:$now:n"
            else -> error("the engine asks for nothing else yet")
        }
        return OperationSignature(HiddenText(hmac("kotlin-master", text)), now, "n")
    }
}

private fun hmac(key: String, text: String): String {
    val mac = Mac.getInstance("HmacSHA1")
    mac.init(SecretKeySpec(key.toByteArray(), "HmacSHA1"))
    return mac.doFinal(text.toByteArray()).joinToString("") { "%02x".format(it) }
}

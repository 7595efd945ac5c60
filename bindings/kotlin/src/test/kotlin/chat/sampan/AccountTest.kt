// An account from its first start to its removal, and history that is read in pages.
package chat.sampan

import java.nio.file.Path
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class AccountTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `an account is made, encrypted with another key, listed, signed out and wiped`() = within {
        engine(folder, "phone").use { engine ->
            val (old, new) = Pair(HiddenText("0".repeat(64)), HiddenText("1".repeat(64)))
            val ann = engine.client("ann", ClientOptions(storeKey = old))
            assertEquals("ann", ann.clientId())
            assertTrue(ann.openReport().created)
            assertEquals(Loss.NOTHING, ann.openReport().lost)
            assertEquals(StoreHealth.Good, ann.storeHealth())
            assertEquals(SessionState.Closed, ann.sessionState())
            assertEquals(ConnectionState.Idle, engine.connectionState())
            val direct = ann.direct("ben")
            assertEquals(direct, ann.direct("ben"))
            assertEquals(ann.commitSeq(), ann.commitSeq())
            ann.changeStoreKey(old, new)
            assertTrue(failure { ann.changeStoreKey(old, new) } is SampanException.WrongKey)
            val account = engine.accounts().single()
            assertTrue(account.isEncrypted)
            assertEquals(1, account.unsent)
            assertTrue(failure { engine.wipeAccount(account.folder) } is SampanException.StoreInUse)
            assertTrue(failure { ann.signOut(LocalData.WIPE, UnsentWork.REFUSE) } is SampanException.Unsent)
            ann.signOut(LocalData.KEEP, UnsentWork.KEEP_IT)
            assertNull(engine.accounts().single().unsent)
            assertTrue(failure { ann.outbox() } is SampanException.SignedOut)
            assertTrue(failure { engine.client("ann", ClientOptions(storeKey = old)) } is SampanException.WrongKey)
            val again = engine.client("ann", ClientOptions(storeKey = new))
            assertFalse(again.openReport().created)
            assertEquals(1, again.outbox().size)
            assertFalse(again.refresh(java.time.Duration.ofMillis(20)).complete)
            again.signOut(LocalData.KEEP, UnsentWork.KEEP_IT)
            engine.wipeAccount(account.folder)
            assertEquals(emptyList<Account>(), engine.accounts())
            engine.shutdown()
        }
    }

    @Test
    fun `a state is told once, and an engine sleeps and wakes`() = within {
        ServiceProcess(folder.resolve("service")).use { service ->
            engine(folder, "phone", service.url).use { engine ->
                val ann = engine.online("ann")
                val online = ann.states.first { it.link == LinkState.Online && it.sync is SyncState.Current }
                engine.pause()
                val asleep = checkNotNull(ann.nextState(online.version))
                assertTrue(asleep.version > online.version)
                ann.states.first { it.link == LinkState.Background }
                engine.resume()
                engine.networkChanged(NetworkChange.SWITCHED)
                ann.retryNow()
                ann.waitOnline()
                engine.shutdown()
            }
        }
    }

    @Test
    fun `history that a new device lacks is read in pages, and a window moves over it`() = within {
        ServiceProcess(folder.resolve("service")).use { service ->
            val phone = engine(folder, "phone", service.url)
            val config = config(folder, "laptop", service.url)
            val laptop = Engine.open(config.copy(limits = config.limits.copy(catchUpMax = 5)))
            val ann = phone.online("ann")
            val talk = ann.createConversation("ben").conversation
            repeat(30) { talk.sendText("message $it") }
            until { ann.outbox().isEmpty() }

            val ben = laptop.online("ben")
            ben.conversationList().states.first { it.rows.isNotEmpty() }
            val bens = ben.fetchConversation(talk.info().id)
            val window = bens.timeline(TimelineOptions(page = 5, fillVisible = false))
            val shown = window.states.first { it.items.isNotEmpty() }
            val hole = shown.items.firstOrNull { it.kind is TimelineItemKind.Gap }
            if (hole != null) window.fill(hole.key)
            while (window.states.first().older != TimelineEdge.End) window.loadOlder(20)
            assertEquals("message 0", window.states.first().items.first().message?.content?.words)
            window.jump(TimelineStart.Newest)
            window.states.first { it.anchor is Anchor.At || it.items.last().message?.content?.words == "message 29" }
            window.loadNewer(5)
            window.seen(window.states.first().items.first().key, window.states.first().items.last().key)
            phone.shutdown()
            laptop.shutdown()
        }
    }

    @Test
    fun `a list shows what its options say and grows`() = within {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            for (peer in listOf("ben", "cat", "dan")) ann.createConversation(peer, name = "with $peer")
            val list = ann.conversationList(ListOptions(page = 2, order = ConversationOrder.NAME))
            assertEquals(listOf("with ben", "with cat"), list.states.first { it.rows.size == 2 }.rows.map { it.name })
            list.loadMore(2)
            assertEquals(3, list.states.first { it.rows.size == 3 }.total)
            list.show(ListOptions(filter = ConversationFilter.Member("dan")))
            assertEquals("with dan", list.states.first { it.rows.size == 1 }.rows.single().name)
            engine.shutdown()
        }
    }

    @Test
    fun `an old cache that is not there is told by its kind`() = within {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            val watch = LegacyWatch()
            val source = LegacySource(folder.resolve("no.db").toFile(), LegacyScope.ALL_CONVERSATIONS)
            val gone = failure { ann.importLegacy(source, watch) } as SampanException.NotFound
            assertEquals(Subject.LEGACY_CACHE, gone.what)
            assertEquals(0L, watch.progress().stored)
            watch.cancel()
            assertTrue(libraryVersion().matches(Regex("""\d+\.\d+\.\d+.*""")))
            assertTrue(hostedLimits().sendsPerMinute < selfHostedLimits().sendsPerMinute)
            engine.shutdown()
        }
    }

    private suspend fun failure(call: suspend () -> Any): SampanException {
        try {
            call()
        } catch (error: SampanException) {
            return error
        }
        throw AssertionError("it threw nothing")
    }

    private suspend fun until(holds: suspend () -> Boolean) {
        while (!holds()) delay(10.milliseconds)
    }

    private fun within(test: suspend CoroutineScope.() -> Unit) =
        runBlocking { withTimeout(60.seconds, test) }
}

// Members as a live list, what may be done to them, attributes by their present value, and queries.
package chat.sampan

import java.nio.file.Path
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.mapNotNull
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class MembersTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `members are a live list in which roles and silence show`() = talk { ann, ben, talk ->
        val list = talk.members(MemberListOptions(page = 2))
        val shown = list.states.first { it.rows.size == 2 }
        assertEquals(3, shown.total)
        assertTrue(shown.more)
        assertEquals(MemberRow("ann", MemberRole.OWNER, isMe = true, silenced = false), shown.rows.first())
        assertEquals(1, list.loadMore())
        val feed = ben.feed()
        talk.setRole("cat", MemberRole.MANAGER)
        talk.silenceMembers(listOf("ben"))
        list.states.first { state -> state.rows.any { it.client == "ben" && it.silenced } }
        assertEquals(listOf("ann", "cat", "ben"), list.statesIn(this).first { it.rows.size == 3 }.rows.map { it.client })
        val notice = feed.batches.mapNotNull { batch ->
            batch.events.firstNotNullOfOrNull { (it as? Event.MembersChanged)?.notice?.takeIf { it.event == MembersEvent.Silenced } }
        }.first()
        assertEquals(listOf("ben"), notice.members)
        assertEquals("ann", notice.by)
        talk.unsilenceMembers(listOf("ben"))
        list.states.first { state -> state.rows.none { it.silenced } }

        talk.blockMembers(listOf("cat"))
        until { ann.outbox().isEmpty() }
        assertEquals(2, talk.countMembers())
        val blocked = talk.members(MemberListOptions(group = MemberGroup.BLOCKED))
        blocked.refresh()
        assertEquals(listOf("cat"), blocked.states.first { it.rows.isNotEmpty() }.rows.map { it.client })
        talk.unblockMembers(listOf("cat"))
        blocked.states.first { it.rows.isEmpty() }
        blocked.end()
        list.end()
        coroutineContext[kotlinx.coroutines.Job]?.children?.forEach { it.cancel() }
    }

    @Test
    fun `a list of members tells who is online where the app asked`() = talk { ann, ben, talk ->
        val list = talk.members(MemberListOptions(online = true))
        val shown = list.states.first { state -> state.rows.isNotEmpty() && state.rows.all { it.online != null } }
        assertEquals(mapOf("ann" to true, "ben" to true, "cat" to false), shown.rows.associate { it.client to it.online })
        ben.goOffline()
        until { ann.onlineOf(listOf("ben")).isEmpty() }
        list.refresh()
        list.states.first { state -> state.rows.any { it.client == "ben" && it.online == false } }
        assertTrue(talk.members(null).states.first { it.rows.isNotEmpty() }.rows.all { it.online == null })
        list.end()
    }

    @Test
    fun `attributes change by their present value, and queries find here and at the service`() = talk { ann, ben, talk ->
        assertEquals("2", talk.changeAttribute("count", AttributeChange.Increment(2)))
        assertEquals("[1]", talk.changeAttribute("list", AttributeChange.Append(listOf("1"))))
        val query = ConversationQuery(QueryCondition.AtLeast("attr.count", "2"), limit = 5)
        assertEquals(listOf(talk.info().id), ann.queryConversations(query).map { it.id })
        assertEquals(1, ben.countConversations(query))
        until { ann.findConversations(query).isNotEmpty() }
        val none = ConversationQuery(QueryCondition.Greater("attr.count", "2"))
        assertEquals(emptyList<ConversationInfo>(), ann.findConversations(none))
        assertEquals(0, ann.countConversations(none))
    }

    private fun talk(test: suspend CoroutineScope.(Client, Client, Conversation) -> Unit) = runBlocking {
        withTimeout(60.seconds) {
            ServiceProcess(folder.resolve("service")).use { service ->
                val phone = engine(folder, "phone", service.url)
                val laptop = engine(folder, "laptop", service.url)
                val (ann, ben) = Pair(phone.online("ann"), laptop.online("ben"))
                val talk = ann.createConversation("ben", "cat").conversation
                until { ann.outbox().isEmpty() }
                ben.conversationList().states.first { it.rows.isNotEmpty() }
                test(ann, ben, talk)
                phone.shutdown()
                laptop.shutdown()
            }
        }
    }

    private suspend fun until(holds: suspend () -> Boolean) {
        while (!holds()) delay(10.milliseconds)
    }
}

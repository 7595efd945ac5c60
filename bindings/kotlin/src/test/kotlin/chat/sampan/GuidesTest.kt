// The samples of older guides, sessions and groups, and rooms, in Kotlin and against a real service.
package chat.sampan

import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class GuidesTest {
    @TempDir
    lateinit var folder: Path

    // D07
    @Test
    fun `peers watch each other, write to each other, and meet in a group`() = guide { service ->
        val tom = engine(folder, "phone", service.url)
        val jerry = engine(folder, "laptop", service.url)
        val toms = PeerSession(tom.client("Tom"))
        val jerrys = PeerSession(jerry.client("Jerry"))
        val toTom = toms.notices()
        val toJerry = jerrys.notices()
        toms.open(listOf("Jerry"))
        jerrys.open(emptyList())
        toTom.hears<SessionNotice.PeerOnline> { it.peer == "Jerry" }
        assertTrue(toms.isWatching("Jerry"))
        assertFalse(jerrys.isWatching("Tom"))
        assertEquals(listOf("Jerry"), toms.status(listOf("Jerry", "Spike")))
        toms.send(said("wake up"), listOf("Jerry"))
        val heard = toJerry.hears<SessionNotice.Message> { it.message.sender == "Tom" }
        assertEquals("c0a42b25e09d3689a27f346a9b498ea1", heard.conversation)

        val group = toms.createGroup()
        group.invite(listOf("Jerry"))
        val joined = toJerry.hears<SessionNotice.Joined> { it.conversation != heard.conversation }
        jerrys.group(joined.conversation).send(said("hello world"))
        toTom.hears<SessionNotice.Message> { it.conversation == joined.conversation }
        assertEquals(joined.conversation, group.id())
        assertEquals(setOf("Tom", "Jerry"), group.members().toSet())
        assertEquals(listOf(joined.conversation), toms.groups().map { it.id() })
        group.kick(listOf("Jerry"))
        toJerry.hears<SessionNotice.Left> { it.conversation == joined.conversation }
        assertEquals(joined.conversation, jerrys.joinGroup(joined.conversation).id())
        toJerry.hears<SessionNotice.Joined> { it.conversation == joined.conversation }
        group.leave()
        toms.unwatch(listOf("Jerry"))
        toms.closeSession()
        toTom.hears<SessionNotice.Closed> { true }
        tom.shutdown()
        jerry.shutdown()
    }

    // D07
    @Test
    fun `a room is made, found, asked for, spoken in and read`() = guide { service ->
        val tom = engine(folder, "phone", service.url)
        val bob = engine(folder, "laptop", service.url)
        val toms = Rooms(tom.online("Tom"))
        val own = bob.online("Bob")
        val bobs = Rooms(own)
        val toBob = bobs.notices()
        own.emit("LeanCloud123", """{"aaa":"test"}""")
        val emitted = toBob.hears<SessionNotice.Emitted> { it.name == "LeanCloud123" }
        assertEquals("""{"aaa":"test"}""", emitted.data)
        val room = toms.create(RoomOptions(members = listOf("Bob"), name = "LeanCloud"))
        val id = toBob.hears<SessionNotice.Joined> { true }.conversation
        val found = bobs.get(id)!!
        assertNull(bobs.get("0123456789abcdef01234567"))
        room.send("""{"testMsg":"Hello"}""", false)
        val came = toBob.hears<SessionNotice.Message> { it.conversation == id }.message
        assertEquals("""{"testMsg":"Hello"}""", (came.content as MessageContent.Plain).text)
        assertEquals(1, found.log(RoomLog(limit = 20)).size)
        room.sendMessage(said("with a kind"))
        val kind = toBob.hears<SessionNotice.Message> { it.conversation == id }.message.content
        assertEquals("with a kind", (kind as MessageContent.Text).text)
        assertEquals(2L, room.count().toLong())
        assertEquals(1, bobs.query(RoomQuery(limit = 5)).size)
        room.add(listOf("Harry"))
        toBob.hears<SessionNotice.MembersJoined> { it.members == listOf("Harry") }
        found.leave()
        toBob.hears<SessionNotice.Left> { it.conversation == id }
        found.join()
        toBob.hears<SessionNotice.Joined> { it.conversation == id }
        assertEquals("&lt;b&gt;", escapeHtml("<b>"))
        tom.shutdown()
        bob.shutdown()
    }

    private fun said(words: String) =
        NewMessage(MessageContent.Text(words, Details()))

    private suspend inline fun <reified T : SessionNotice> NoticeFeed.hears(wanted: (T) -> Boolean): T {
        while (true) {
            val notice = next() ?: throw AssertionError("the engine ended")
            if (notice is T && wanted(notice)) return notice
        }
    }

    private fun guide(test: suspend CoroutineScope.(ServiceProcess) -> Unit) = runBlocking {
        withTimeout(60.seconds) {
            ServiceProcess(folder.resolve("service")).use { test(it) }
        }
    }
}

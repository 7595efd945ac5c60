// Signing in with the session of an account: the app's own server, a double in this process, says whose session it is.
package chat.sampan

import com.sun.net.httpserver.HttpServer
import java.net.InetAddress
import java.net.InetSocketAddress
import java.nio.file.Path
import kotlin.io.path.createDirectory
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class AccountSessionTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `a client signs in with the session of its account and with no other`() = runBlocking {
        val server = accounts()
        val url = "http://127.0.0.1:${server.address.port}/hooks"
        val settings = """{"kotlin": {"signatures": {"login": true},
            "hooks": {"url": "$url", "functions": ["_rtmClientSign"]}}}"""
        val place = folder.resolve("service").createDirectory()
        withTimeout(60.seconds) {
            ServiceProcess(place.resolve("data"), settings).use { service ->
                engine(folder, "phone", service.url).use { phone ->
                    val ann = phone.client("ann", ClientOptions(accountSession = HiddenText("session of ann")))
                    ann.goOnline()
                    ann.waitOnline()
                    val eve = phone.client("eve", ClientOptions(accountSession = HiddenText("session of ann")))
                    eve.goOnline()
                    val refusal = runCatching { eve.waitOnline() }.exceptionOrNull()
                    assertEquals(4102, (refusal as SampanException.Refused).code)
                    // The app brings the right session.
                    val again = phone.client("eve", ClientOptions(accountSession = HiddenText("session of eve")))
                    again.goOnline()
                    again.waitOnline()
                    val stranger = phone.client("dan", ClientOptions(accountSession = HiddenText("made up")))
                    stranger.goOnline()
                    val end = runCatching { stranger.waitOnline() }.exceptionOrNull()
                    assertTrue(end is SampanException.Refused, "$end")
                    val talk = ann.createConversation("eve").conversation
                    talk.sendText("signed in")
                    val list = again.conversationList().states.first { it.rows.isNotEmpty() }
                    assertEquals(1, list.rows.size)
                    phone.shutdown()
                }
            }
        }
        server.stop(0)
    }

    /** `session of ann` is the session of `ann`; no other session is known. */
    private fun accounts(): HttpServer {
        val server = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0)
        server.createContext("/hooks/_rtmClientSign") { exchange ->
            val asked = exchange.requestBody.readBytes().decodeToString()
            val client = Regex("session of ([a-z]+)").find(asked)?.groupValues?.get(1)
            val says = if (client == null) "{}" else """{"clientId": "$client"}"""
            val answer = """{"result": $says}""".encodeToByteArray()
            exchange.sendResponseHeaders(200, answer.size.toLong())
            exchange.responseBody.write(answer)
            exchange.close()
        }
        server.start()
        return server
    }
}

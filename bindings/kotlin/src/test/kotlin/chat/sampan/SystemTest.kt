// The phone around an engine: what the follower passes on, and Android's words against stubs of Android.
package chat.sampan

import android.app.Activity
import android.app.Application
import android.net.ConnectivityManager
import android.net.Network
import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class SystemTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `words are passed on one at a time and of those that wait the last one holds`() = within {
        val followed = Recorded()
        val gate = CompletableDeferred<Unit>()
        followed.gate = gate
        SystemFollower(followed, CoroutineScope(Dispatchers.Default)).use { follower ->
            follower.hear(SystemWord.Background)
            assertEquals("pause", followed.calls.receive())
            follower.hear(SystemWord.Foreground)
            follower.hear(SystemWord.Background)
            follower.hear(SystemWord.Network(NetworkChange.LOST))
            follower.hear(SystemWord.Network(NetworkChange.BACK))
            follower.hear(SystemWord.Foreground)
            gate.complete(Unit)
            assertEquals("network BACK", followed.calls.receive())
            assertEquals("resume", followed.calls.receive())
        }
        assertTrue(followed.calls.isEmpty)
    }

    @Test
    fun `an engine follows the activities and the network of an Android app`() = within {
        val followed = Recorded()
        val app = FakeApp()
        val follower = SystemFollower(followed, CoroutineScope(Dispatchers.Default))
        AppFollower(app, follower).use {
            val (list, chat) = Pair(Activity(), Activity())
            app.life.onActivityStarted(list)
            assertEquals("resume", followed.calls.receive())
            app.life.onActivityStarted(chat)
            app.life.onActivityStopped(list)
            app.life.onActivityStopped(chat)
            assertEquals("pause", followed.calls.receive())
            val turned = object : Activity() {
                override val isChangingConfigurations = true
            }
            app.life.onActivityStarted(turned)
            assertEquals("resume", followed.calls.receive())
            app.life.onActivityStopped(turned)
            app.life.onActivityStarted(Activity())

            val (wifi, mobile) = Pair(Network(), Network())
            val net = checkNotNull(app.connectivity.callback)
            net.onAvailable(wifi)
            net.onAvailable(mobile)
            assertEquals("network SWITCHED", followed.calls.receive())
            net.onLost(wifi)
            net.onLost(mobile)
            assertEquals("network LOST", followed.calls.receive())
            net.onAvailable(wifi)
            assertEquals("network BACK", followed.calls.receive())
        }
        assertEquals(null, app.connectivity.callback)
        assertTrue(followed.calls.isEmpty, "turning the screen is no word")
    }

    @Test
    fun `an engine that follows an app is paused with its last activity`() = within {
        engine(folder, "phone").use { engine ->
            val ann = engine.client("ann")
            ann.goOnline()
            val app = FakeApp()
            engine.followSystem(app).use {
                val chat = Activity()
                app.life.onActivityStarted(chat)
                app.life.onActivityStopped(chat)
                ann.states.first { it.link == LinkState.Background }
                app.life.onActivityStarted(chat)
                ann.states.first { it.link != LinkState.Background }
            }
            assertEquals(null, app.connectivity.callback)
            engine.shutdown()
        }
    }

    private fun within(test: suspend CoroutineScope.() -> Unit) =
        runBlocking { withTimeout(60.seconds, test) }
}

/** Writes down what it is asked for; its first pause lasts until the gate opens. */
private class Recorded : Followed {
    val calls = Channel<String>(Channel.UNLIMITED)
    var gate: CompletableDeferred<Unit>? = null

    override suspend fun pause() {
        calls.send("pause")
        gate?.await()
    }

    override suspend fun resume() = calls.send("resume")

    override suspend fun networkChanged(change: NetworkChange) = calls.send("network $change")
}

private class FakeApp : Application() {
    lateinit var life: ActivityLifecycleCallbacks
    val connectivity = FakeConnectivity()

    override fun registerActivityLifecycleCallbacks(callback: ActivityLifecycleCallbacks) {
        life = callback
    }

    override fun getSystemService(name: String): Any = connectivity
}

private class FakeConnectivity : ConnectivityManager() {
    var callback: NetworkCallback? = null

    override fun registerDefaultNetworkCallback(callback: NetworkCallback) {
        this.callback = callback
    }

    override fun unregisterNetworkCallback(callback: NetworkCallback) {
        this.callback = null
    }
}

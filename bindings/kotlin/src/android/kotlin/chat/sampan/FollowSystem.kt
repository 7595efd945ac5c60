// Android: an engine that follows the app's life and the device's network.
package chat.sampan

import android.app.Activity
import android.app.Application
import android.content.Context
import android.net.ConnectivityManager
import android.net.Network
import android.os.Bundle
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers

/**
 * Makes the engine follow the app. The engine pauses when the last activity has stopped, resumes when the first
 * activity starts, and gets every change of the network. Call this once, in `Application.onCreate`. The app needs
 * the permission `ACCESS_NETWORK_STATE`.
 *
 * The engine follows the app until the returned object is closed.
 */
fun Engine.followSystem(app: Application): AutoCloseable =
    AppFollower(app, follower(CoroutineScope(Dispatchers.Default)))

internal class AppFollower(private val app: Application, private val follower: SystemFollower) : AutoCloseable {
    private val activities = Activities()
    private val networks = Networks()
    private val manager = app.getSystemService(Context.CONNECTIVITY_SERVICE) as ConnectivityManager

    init {
        app.registerActivityLifecycleCallbacks(activities)
        manager.registerDefaultNetworkCallback(networks)
    }

    override fun close() {
        app.unregisterActivityLifecycleCallbacks(activities)
        manager.unregisterNetworkCallback(networks)
        follower.close()
    }

    /** Counts the activities that the user can see. Android calls it on the main thread. */
    private inner class Activities : Application.ActivityLifecycleCallbacks {
        private var started = 0
        private var isTurning = false

        override fun onActivityStarted(activity: Activity) {
            started += 1
            if (started == 1 && !isTurning) follower.hear(SystemWord.Foreground)
            isTurning = false
        }

        override fun onActivityStopped(activity: Activity) {
            started -= 1
            // An activity that is recreated because the screen turned has not stopped.
            isTurning = activity.isChangingConfigurations
            if (started == 0 && !isTurning) follower.hear(SystemWord.Background)
        }

        override fun onActivityCreated(activity: Activity, savedInstanceState: Bundle?) {}

        override fun onActivityResumed(activity: Activity) {}

        override fun onActivityPaused(activity: Activity) {}

        override fun onActivitySaveInstanceState(activity: Activity, outState: Bundle) {}

        override fun onActivityDestroyed(activity: Activity) {}
    }

    /** The first network is the one with which the engine began; another network is a switch. */
    private inner class Networks : ConnectivityManager.NetworkCallback() {
        private var current: Network? = null
        private var isFirst = true

        override fun onAvailable(network: Network) {
            val before = current
            current = network
            when {
                isFirst -> isFirst = false
                before == null -> follower.hear(SystemWord.Network(NetworkChange.BACK))
                before != network -> follower.hear(SystemWord.Network(NetworkChange.SWITCHED))
            }
        }

        override fun onLost(network: Network) {
            if (current == network) {
                current = null
                follower.hear(SystemWord.Network(NetworkChange.LOST))
            }
        }
    }
}

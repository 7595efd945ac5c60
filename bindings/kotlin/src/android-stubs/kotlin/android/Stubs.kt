// As much of Android as the layer names, for compiling and testing it where there is none. An app never
// sees it: it is compiled with the tests.
@file:Suppress("unused")

package android.app

import android.content.Context
import android.os.Bundle

open class Activity {
    open val isChangingConfigurations: Boolean get() = false
}

open class Application : Context() {
    interface ActivityLifecycleCallbacks {
        fun onActivityCreated(activity: Activity, savedInstanceState: Bundle?)

        fun onActivityStarted(activity: Activity)

        fun onActivityResumed(activity: Activity)

        fun onActivityPaused(activity: Activity)

        fun onActivityStopped(activity: Activity)

        fun onActivitySaveInstanceState(activity: Activity, outState: Bundle)

        fun onActivityDestroyed(activity: Activity)
    }

    open fun registerActivityLifecycleCallbacks(callback: ActivityLifecycleCallbacks) {}

    open fun unregisterActivityLifecycleCallbacks(callback: ActivityLifecycleCallbacks) {}
}

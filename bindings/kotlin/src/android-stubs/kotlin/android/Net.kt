@file:Suppress("unused")

package android.net

open class Network

open class ConnectivityManager {
    open class NetworkCallback {
        open fun onAvailable(network: Network) {}

        open fun onLost(network: Network) {}
    }

    open fun registerDefaultNetworkCallback(callback: NetworkCallback) {}

    open fun unregisterNetworkCallback(callback: NetworkCallback) {}
}

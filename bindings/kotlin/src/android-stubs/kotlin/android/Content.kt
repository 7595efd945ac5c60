@file:Suppress("unused", "PropertyName")

package android.content

open class Context {
    open fun getSystemService(name: String): Any = error("no service called $name")

    companion object {
        const val CONNECTIVITY_SERVICE: String = "connectivity"
    }
}

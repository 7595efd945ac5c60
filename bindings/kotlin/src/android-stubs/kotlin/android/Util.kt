package android.util

object Log {
    const val DEBUG: Int = 3
    const val INFO: Int = 4
    const val WARN: Int = 5
    const val ERROR: Int = 6

    /** The lines that were written, for tests to look at. */
    val lines: MutableList<String> = mutableListOf()

    fun println(priority: Int, tag: String, message: String): Int {
        lines.add("$priority $tag $message")
        return 0
    }
}

// A text that nothing shows.
package chat.sampan

/** A text that no [toString] shows: a key, a token, a signature. [reveal] is the text. */
class HiddenText(val reveal: String) {
    override fun toString(): String = "hidden"

    override fun equals(other: Any?): Boolean = other is HiddenText && other.reveal == reveal

    override fun hashCode(): Int = reveal.hashCode()
}

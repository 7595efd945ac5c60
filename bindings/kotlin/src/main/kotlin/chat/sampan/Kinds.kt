// Kinds of messages that an app defines, and handlers by kind.
package chat.sampan

/**
 * The app's own kind of message. Its values travel as the envelopes of custom messages. [number] is 1 or more, and the
 * same on every platform of the app; [read] and [write] use the app's JSON library.
 */
class MessageKind<T : Any>(val number: Int, val read: (Json) -> T, val write: (T) -> Json) {
    /** A message of this kind. */
    fun content(value: T): MessageContent = MessageContent.Custom(number, write(value))

    /** The value of a message of this kind; null for any other message. Throws what [read] throws. */
    fun valueOf(content: MessageContent): T? =
        (content as? MessageContent.Custom)?.takeIf { it.kind == number }?.let { read(it.envelope) }
}

/** The number of the kind, as it travels: negative for the kinds of this library; null for plain text and bytes. */
val MessageContent.number: Int?
    get() = when (this) {
        is MessageContent.Text -> -1
        is MessageContent.Image -> -2
        is MessageContent.Audio -> -3
        is MessageContent.Video -> -4
        is MessageContent.Location -> -5
        is MessageContent.File -> -6
        is MessageContent.Recalled -> -127
        is MessageContent.Custom -> kind
        is MessageContent.Plain, is MessageContent.Binary -> null
    }

/** A plug-in that brings kinds of messages: [MessageHandlers] registers them, with their handlers. */
interface KindPlugin : EnginePlugin {
    /** Registers the kinds that the plug-in brings. */
    fun register(handlers: MessageHandlers)
}

/**
 * The handlers of an app by kind of message. Every handler of a kind gets the messages of that kind. The handlers of all
 * other messages get plain text, bytes, and messages without a handler of their kind. Register handlers before the
 * first message is handled. Each [KindPlugin] among the plug-ins registers its
 * own kinds.
 */
class MessageHandlers @JvmOverloads constructor(plugins: List<EnginePlugin> = emptyList()) {
    private val handlers = mutableMapOf<Int, MutableList<suspend (MessageRecord) -> Unit>>()
    private val others = mutableListOf<suspend (MessageRecord) -> Unit>()

    init {
        plugins.filterIsInstance<KindPlugin>().forEach { it.register(this) }
    }

    /** Registers a kind of the app's own with a handler of its values. */
    fun <T : Any> on(kind: MessageKind<T>, handler: suspend (T, MessageRecord) -> Unit) {
        on(kind.number) { message -> kind.valueOf(message.content)?.let { handler(it, message) } }
    }

    /** Registers a handler of a kind by its number, as [MessageContent.number] tells it. */
    fun on(number: Int, handler: suspend (MessageRecord) -> Unit) {
        handlers.getOrPut(number) { mutableListOf() }.add(handler)
    }

    /** Registers a handler of all other messages. */
    fun otherwise(handler: suspend (MessageRecord) -> Unit) {
        others.add(handler)
    }

    /** Gives a message to its handlers, one after the other. An exception of a handler leaves the call, and later handlers do not run. */
    suspend fun handle(message: MessageRecord) {
        val own = message.content.number?.let { handlers[it] }
        for (handler in own ?: others) handler(message)
    }
}

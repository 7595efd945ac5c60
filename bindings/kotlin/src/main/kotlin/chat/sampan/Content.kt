// Shortcuts to the properties of a message.
package chat.sampan

/** The text that a list shows: text, caption or plain text; null where a message has none. */
val MessageContent.words: String?
    get() = when (this) {
        is MessageContent.Text -> text
        is MessageContent.Image -> caption
        is MessageContent.Audio -> caption
        is MessageContent.Video -> caption
        is MessageContent.Location -> caption
        is MessageContent.File -> caption
        is MessageContent.Recalled -> caption
        is MessageContent.Custom -> null
        is MessageContent.Plain -> text
        is MessageContent.Binary -> null
    }

/** True if the sender recalled the message. */
val MessageContent.isRecalled: Boolean
    get() = this is MessageContent.Recalled

/** The file of a picture, a sound, a film or a plain file; null for other messages. */
val MessageContent.file: MediaFile?
    get() = when (this) {
        is MessageContent.Image -> file
        is MessageContent.Audio -> file
        is MessageContent.Video -> file
        is MessageContent.File -> file
        else -> null
    }

/** The message of an item; null for a gap and for the mark before the first unread message. */
val TimelineItem.message: Message?
    get() = (kind as? TimelineItemKind.Message)?.message

/** The reason why a message was not sent; null for a message that was sent or waits. */
val Message.failure: SendFailure?
    get() = (delivery as? Delivery.Failed)?.failure

/** True if [Conversation.retry] may help: the message was not sent, and its failure is not final. */
val Message.canRetry: Boolean
    get() = (delivery as? Delivery.Failed)?.canRetry ?: false

// Shortcuts to the properties of a message, and JSON as values.

import Foundation
import SampanCore

extension MessageContent {
    /// The text that a list shows: text, caption or plain text; nil where a message has none.
    public var words: String? {
        switch self {
        case .text(let text, _), .plain(let text): text
        case .image(_, let caption, _), .audio(_, let caption, _), .video(_, let caption, _),
            .file(_, let caption, _), .recalled(let caption, _), .location(_, _, let caption, _):
            caption
        case .custom, .binary: nil
        }
    }

    /// True if the sender recalled the message.
    public var isRecalled: Bool {
        if case .recalled = self { true } else { false }
    }

    /// The file of a picture, a sound, a film or a plain file; nil for other messages.
    public var file: MediaFile? {
        switch self {
        case .image(let file, _, _), .audio(let file, _, _), .video(let file, _, _),
            .file(let file, _, _):
            file
        default: nil
        }
    }

    /// The details that the app attached; nil for a message without an envelope and for a type of the app's own.
    public var details: Details? {
        switch self {
        case .text(_, let details), .image(_, _, let details), .audio(_, _, let details),
            .video(_, _, let details), .file(_, _, let details), .recalled(_, let details),
            .location(_, _, _, let details):
            details
        case .custom, .plain, .binary: nil
        }
    }

    /// The envelope of a type of the app's own, decoded; nil for any other message.
    ///
    /// - Throws: the decoder's error, when the envelope is of another form.
    public func envelope<Value: Decodable>(
        as type: Value.Type, decoder: JSONDecoder = JSONDecoder()
    ) throws -> Value? {
        guard case .custom(_, let envelope) = self else { return nil }
        return try decoder.decode(type, from: Data(envelope.utf8))
    }
}

extension TimelineItem {
    /// The message of the item; nil for a gap and for the mark before the first unread message.
    public var message: Message? {
        if case .message(let message) = kind { message } else { nil }
    }
}

extension Message {
    /// The reason why the message was not sent; nil for a message that was sent or waits.
    public var failure: SendFailure? {
        if case .failed(let failure, _) = delivery { failure } else { nil }
    }

    /// True if `Conversation.retry` may help: the message was not sent, and its failure is not final.
    public var canRetry: Bool {
        if case .failed(_, let canRetry) = delivery { canRetry } else { false }
    }
}

extension Details {
    /// The attributes, decoded; nil when there are none.
    ///
    /// - Throws: the decoder's error, when the attributes are of another form.
    public func attributes<Value: Decodable>(
        as type: Value.Type, decoder: JSONDecoder = JSONDecoder()
    ) throws -> Value? {
        try attributes.map { try decoder.decode(type, from: Data($0.utf8)) }
    }
}

extension ConversationInfo {
    /// The attributes, decoded; nil when there are none.
    ///
    /// - Throws: the decoder's error, when the attributes are of another form.
    public func attributes<Value: Decodable>(
        as type: Value.Type, decoder: JSONDecoder = JSONDecoder()
    ) throws -> Value? {
        try attributes.map { try decoder.decode(type, from: Data($0.utf8)) }
    }
}

/// A value as JSON, for attributes, envelopes and push settings.
///
/// - Throws: the encoder's error, when the value has no JSON form.
public func json(_ value: some Encodable, encoder: JSONEncoder = JSONEncoder()) throws -> Json {
    String(decoding: try encoder.encode(value), as: UTF8.self)
}

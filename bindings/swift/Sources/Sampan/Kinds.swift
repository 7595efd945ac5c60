// Kinds of messages that an app defines, and handlers by kind.

import Foundation
import SampanCore

/// The app's own kind of message. Its values travel as the envelopes of custom messages.
public protocol MessageKind: Codable, Sendable {
    /// The kind's number, 1 or more: the same on every platform of the app.
    static var number: Int32 { get }
}

extension MessageContent {
    /// A message of the app's own kind.
    ///
    /// - Throws: the encoder's error, when the value has no JSON form.
    public init<Kind: MessageKind>(_ value: Kind, encoder: JSONEncoder = JSONEncoder()) throws {
        self = .custom(kind: Kind.number, envelope: try json(value, encoder: encoder))
    }

    /// The number of the kind, as it travels: negative for the kinds of this library; nil for plain text and bytes.
    public var number: Int32? {
        switch self {
        case .text: -1
        case .image: -2
        case .audio: -3
        case .video: -4
        case .location: -5
        case .file: -6
        case .recalled: -127
        case .custom(let kind, _): kind
        case .plain, .binary: nil
        }
    }
}

/// A plug-in that brings kinds of messages: `MessageHandlers(plugins:)` registers them, with their handlers.
public protocol KindPlugin: EnginePlugin {
    /// Registers the kinds that the plug-in brings.
    func register(in handlers: inout MessageHandlers)
}

/// The handlers of an app by kind of message. Every handler of a kind gets the messages of that kind. The handlers of all
/// other messages get plain text, bytes, and messages without a handler of their kind.
public struct MessageHandlers: Sendable {
    private typealias Handler = @Sendable (MessageRecord) async throws -> Void

    private var handlers: [Int32: [Handler]] = [:]
    private var others: [Handler] = []

    public init() {}

    /// The handlers that plug-ins bring: those of a `KindPlugin` register the kinds of its own.
    public init(plugins: [any EnginePlugin]) {
        for plugin in plugins { (plugin as? any KindPlugin)?.register(in: &self) }
    }

    /// Registers a kind of the app's own with a handler of its values.
    public mutating func on<Kind: MessageKind>(
        _ kind: Kind.Type, decoder: JSONDecoder = JSONDecoder(),
        do handler: @escaping @Sendable (Kind, MessageRecord) async -> Void
    ) {
        handlers[Kind.number, default: []].append { message in
            let value = try message.content.envelope(as: kind, decoder: decoder)
            if let value { await handler(value, message) }
        }
    }

    /// Registers a handler of a kind by its number, as `MessageContent.number` tells it.
    public mutating func on(
        number: Int32, do handler: @escaping @Sendable (MessageRecord) async -> Void
    ) {
        handlers[number, default: []].append(handler)
    }

    /// Registers a handler of all other messages.
    public mutating func otherwise(_ handler: @escaping @Sendable (MessageRecord) async -> Void) {
        others.append(handler)
    }

    /// Gives a message to its handlers, one after the other.
    ///
    /// - Throws: the decoder's error, when a message of a registered kind has another form; the handlers before that
    ///   handler have run.
    public func handle(_ message: MessageRecord) async throws {
        let own = message.content.number.flatMap { handlers[$0] }
        for handler in own ?? others { try await handler(message) }
    }
}

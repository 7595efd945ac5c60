// A text that nothing shows. It is compiled with the generated code, which hands it out.

/// A text that no description shows: a key, a token, a signature. `reveal` is the text.
public struct HiddenText: Hashable, Sendable {
    /// The text, for the one place that needs it.
    public let reveal: String

    /// Keeps `text` from being shown.
    public init(_ text: String) {
        reveal = text
    }
}

extension HiddenText: ExpressibleByStringLiteral {
    public init(stringLiteral text: String) {
        self.init(text)
    }
}

extension HiddenText: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "hidden" }
    public var debugDescription: String { "hidden" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

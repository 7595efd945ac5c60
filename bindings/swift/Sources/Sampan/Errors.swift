// The words of an error for people.

import Foundation
@_exported import SampanCore

extension SampanError: LocalizedError {
    /// The text that the Rust error has, instead of the case's debug form.
    public var errorDescription: String? { description }
}

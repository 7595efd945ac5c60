// The text of an error for people.

import Foundation
@_exported import SampanCore

extension SampanError: LocalizedError {
    /// The text of the Rust error, instead of the debug form of the case.
    public var errorDescription: String? { description }
}

// As much of Network as the layer names, for compiling it where there is none. An app never sees it.

import Dispatch

public struct NWInterface: Sendable {
    public let name: String
}

public struct NWPath: Sendable {
    public enum Status: Sendable { case satisfied, unsatisfied, requiresConnection }

    public let status: Status
    public let availableInterfaces: [NWInterface]
}

public final class NWPathMonitor: @unchecked Sendable {
    public var pathUpdateHandler: (@Sendable (NWPath) -> Void)?

    public init() {}

    public func start(queue: DispatchQueue) {}

    public func cancel() {}
}

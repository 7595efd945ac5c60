// The arguments that Swift expects to leave out.

import SampanCore

extension Engine {
    /// Opens the store of a client without a tag, a signer or a key; see `client(id:options:)`.
    public func client(_ id: ClientId) async throws -> Client {
        try await client(id: id, options: ClientOptions())
    }
}

extension NewConversation {
    /// A conversation of the usual kind: one per set of members.
    public init(with members: ClientId..., name: String? = nil, attributes: Json? = nil) {
        self.init(members: members, name: name, attributes: attributes)
    }
}

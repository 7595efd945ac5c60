// What Swift expects to leave out.

import SampanCore

extension Config {
    /// The same configuration with some fields changed.
    public func with(
        offlineMode: OfflineMode? = nil,
        payload: PayloadEncoding? = nil,
        insecure: InsecureConnections? = nil,
        trust: TrustedRoots? = nil,
        limits: Limits? = nil,
        cacheBytes: UInt64? = nil,
        inboxFolder: PathBuf? = nil,
        diskBudget: UInt64? = nil
    ) -> Config {
        Config(
            appId: appId,
            appKey: appKey,
            server: server,
            storeRoot: storeRoot,
            offlineMode: offlineMode ?? self.offlineMode,
            payload: payload ?? self.payload,
            insecure: insecure ?? self.insecure,
            trust: trust ?? self.trust,
            limits: limits ?? self.limits,
            cacheBytes: cacheBytes ?? self.cacheBytes,
            inboxFolder: inboxFolder ?? self.inboxFolder,
            diskBudget: diskBudget ?? self.diskBudget
        )
    }
}

extension Engine {
    /// Opens the store of a client without a tag, a signer or a key; see `client(id:options:)`.
    public func client(_ id: ClientId) async throws -> Client {
        try await client(id: id, options: ClientOptions())
    }
}

extension NewConversation {
    /// A conversation of the usual kind: one per set of members.
    public init(with members: ClientId..., name: String? = nil, attributes: Json? = nil) {
        self.init(
            kind: .normal, members: members, name: name, attributes: attributes,
            uniqueness: .unique)
    }
}

//! Operations that an app's own server allows by signing them.

use std::fmt;

use super::{ClientId, ConversationId};
use crate::Secret;

/// An operation that needs a signature; `docs/wire.md` has the text to sign.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SigningRequest {
    /// Signing in.
    SignIn {
        /// The client.
        client: ClientId,
    },
    /// Making a conversation.
    StartConversation {
        /// The client that makes the conversation.
        client: ClientId,
        /// The members of the new conversation, as they are sent.
        members: Vec<ClientId>,
    },
    /// Adding members.
    AddMembers {
        /// The client that adds them.
        client: ClientId,
        /// The conversation.
        conversation: ConversationId,
        /// The members.
        members: Vec<ClientId>,
    },
    /// Removing members.
    RemoveMembers {
        /// The client that removes them.
        client: ClientId,
        /// The conversation.
        conversation: ConversationId,
        /// The members.
        members: Vec<ClientId>,
    },
    /// Blocking clients.
    BlockMembers {
        /// The client that blocks them.
        client: ClientId,
        /// The conversation.
        conversation: ConversationId,
        /// The clients.
        members: Vec<ClientId>,
    },
    /// Unblocking clients.
    UnblockMembers {
        /// The client that unblocks them.
        client: ClientId,
        /// The conversation.
        conversation: ConversationId,
        /// The clients.
        members: Vec<ClientId>,
    },
    /// Watching clients, to hear when they go online and offline. The signature is that of a session of the
    /// first generation: see `docs/wire.md`.
    Watch {
        /// The client that watches.
        client: ClientId,
        /// The clients to watch. If only some of them may be watched, `OperationSignature.allowed` names these.
        peers: Vec<ClientId>,
    },
}

/// The answer of a signer.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct OperationSignature {
    /// The signature: lower-case hexadecimal digits.
    pub signature: Secret,
    /// The signed time, in milliseconds since the Unix epoch. The first generation signs seconds; the service
    /// accepts both.
    pub timestamp: i64,
    /// The signed nonce.
    pub nonce: String,
    /// For a request to watch: the signed clients, in any order; none for all requested clients. Every other
    /// operation ignores it.
    #[uniffi(default)]
    pub allowed: Option<Vec<ClientId>>,
}

impl fmt::Debug for OperationSignature {
    /// Shows the time only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationSignature")
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

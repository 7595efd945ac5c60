//! Operations that an app's own server allows by signing them.

use std::fmt;

use super::{ClientId, ConversationId};
use crate::Secret;

/// An operation that is to be signed; the service's documentation tells how.
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
        /// Its members, as they are sent.
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
    /// Watching clients: being told when they come online and go offline. The signature is that of a session of the
    /// first generation: see `docs/wire.md`.
    Watch {
        /// The client that watches.
        client: ClientId,
        /// The clients to watch. `OperationSignature.allowed` names those of them who may be watched, where these are
        /// not all.
        peers: Vec<ClientId>,
    },
}

/// The answer of a signer.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct OperationSignature {
    /// The signature: lower-case hexadecimal digits.
    pub signature: Secret,
    /// The time that was signed, in milliseconds since the Unix epoch. The first generation signs seconds; the
    /// service takes both.
    pub timestamp: i64,
    /// The nonce that was signed.
    pub nonce: String,
    /// Of a request to watch: the clients that were signed, in any order. None for all that were asked for. Every
    /// other operation ignores it.
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

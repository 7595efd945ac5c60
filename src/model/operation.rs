//! What an app's own server allows by signing it.

use super::{ClientId, ConversationId};

/// What is to be signed; how is in the service's documentation.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Operation {
    /// Signing in.
    SignIn {
        /// Who.
        client: ClientId,
    },
    /// Making a conversation.
    StartConversation {
        /// Who makes it.
        client: ClientId,
        /// Its members, as they are sent.
        members: Vec<ClientId>,
    },
    /// Adding members.
    AddMembers {
        /// Who adds them.
        client: ClientId,
        /// Where to.
        conversation: ConversationId,
        /// Whom.
        members: Vec<ClientId>,
    },
    /// Removing members.
    RemoveMembers {
        /// Who removes them.
        client: ClientId,
        /// Where from.
        conversation: ConversationId,
        /// Whom.
        members: Vec<ClientId>,
    },
}

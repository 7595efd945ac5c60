//! What plug-ins are given.

use super::{ClientId, ConversationId, MessageContent};

/// A message of another client as it was read, for a plug-in that may change what it says.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ParsedMessage {
    /// The conversation, where the service named it.
    pub conversation: Option<ConversationId>,
    /// Who sent it, where the service named one.
    pub sender: Option<ClientId>,
    /// What it says.
    pub content: MessageContent,
}

//! Messages as plug-ins are given them.

use super::{ClientId, ConversationId, MessageContent};

/// A message of another client as it was read, for a plug-in that may change its content.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ParsedMessage {
    /// The conversation, where the service named it.
    pub conversation: Option<ConversationId>,
    /// The sender, where the service named one.
    pub sender: Option<ClientId>,
    /// The content.
    pub content: MessageContent,
}

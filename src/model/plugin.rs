//! Messages, as plug-ins get them.

use super::{ClientId, ConversationId, MessageContent};

/// A parsed message of another client, for a plug-in that may change its content.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ParsedMessage {
    /// The conversation, where the service named it.
    pub conversation: Option<ConversationId>,
    /// The sender, where the service named one.
    pub sender: Option<ClientId>,
    /// The content.
    pub content: MessageContent,
}

//! Calls of an app's hooks, and their answers.

use sampan::model::AppId;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A function of an app's own server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum HookName {
    /// Asked before a message is delivered.
    #[serde(rename = "_messageReceived")]
    MessageReceived,
    /// Told of the clients that are offline, where a message was delivered.
    #[serde(rename = "_receiversOffline")]
    ReceiversOffline,
    /// Told of a message that was delivered.
    #[serde(rename = "_messageSent")]
    MessageSent,
    /// Asked before a message is edited or recalled.
    #[serde(rename = "_messageUpdate")]
    MessageUpdate,
    /// Asked before a conversation is made.
    #[serde(rename = "_conversationStart")]
    ConversationStart,
    /// Told of a conversation that was made.
    #[serde(rename = "_conversationStarted")]
    ConversationStarted,
    /// Asked before members are added or join.
    #[serde(rename = "_conversationAdd")]
    ConversationAdd,
    /// Told of members that were added or joined.
    #[serde(rename = "_conversationAdded")]
    ConversationAdded,
    /// Asked before members are removed.
    #[serde(rename = "_conversationRemove")]
    ConversationRemove,
    /// Told of members that were removed or quit.
    #[serde(rename = "_conversationRemoved")]
    ConversationRemoved,
    /// Asked before attributes are changed, and before a member mutes a conversation.
    #[serde(rename = "_conversationUpdate")]
    ConversationUpdate,
    /// Asked whose an account session is, before a log-in with it is signed.
    #[serde(rename = "_rtmClientSign")]
    ClientSign,
    /// Told of a client that signed in.
    #[serde(rename = "_clientOnline")]
    ClientOnline,
    /// Told of a client that signed out or was lost.
    #[serde(rename = "_clientOffline")]
    ClientOffline,
}

impl HookName {
    /// The function's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "_messageReceived",
            Self::ReceiversOffline => "_receiversOffline",
            Self::MessageSent => "_messageSent",
            Self::MessageUpdate => "_messageUpdate",
            Self::ConversationStart => "_conversationStart",
            Self::ConversationStarted => "_conversationStarted",
            Self::ConversationAdd => "_conversationAdd",
            Self::ConversationAdded => "_conversationAdded",
            Self::ConversationRemove => "_conversationRemove",
            Self::ConversationRemoved => "_conversationRemoved",
            Self::ConversationUpdate => "_conversationUpdate",
            Self::ClientSign => "_rtmClientSign",
            Self::ClientOnline => "_clientOnline",
            Self::ClientOffline => "_clientOffline",
        }
    }
}

/// A call of a function of the app's own server.
#[derive(Clone, Debug, PartialEq)]
pub struct HookCall {
    /// The app.
    pub app: AppId,
    /// The function.
    pub hook: HookName,
    /// The parameters that the function is told.
    pub parameters: Value,
}

/// The answer of a function; none where it failed or took too long.
pub type HookAnswer = Option<Map<String, Value>>;

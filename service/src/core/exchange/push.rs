//! Orders to push a message to devices of clients that are offline, and the devices that it goes to.

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};
use serde_json::{Map, Value};

use super::hook_call::HookCall;

/// A message for clients that are offline.
#[derive(Clone, Debug, PartialEq)]
pub struct PushOrder {
    /// The app.
    pub app: AppId,
    /// The place where the message is.
    pub conversation: ConversationId,
    /// The sender.
    pub from: ClientId,
    /// Its id.
    pub message: MessageId,
    /// Its time.
    pub sent_at: Timestamp,
    /// The clients that were offline.
    pub offline: Vec<ClientId>,
    /// The payload, where the app's hook names no other.
    pub payload: Option<Map<String, Value>>,
    /// The hook that is asked first, where the app has it.
    pub hook: Option<HookCall>,
}

/// The question for the devices of clients.
#[derive(Clone, Debug)]
pub struct PushQuestion {
    /// The app.
    pub app: AppId,
    /// The conversation of the message.
    pub conversation: ConversationId,
    /// The clients, at most [`PushQuestion::CLIENTS_MAX`].
    pub clients: Vec<ClientId>,
    /// True if clients that muted the conversation are pushed to as well.
    pub force: bool,
    /// True if the number on each device's icon grows by one.
    pub counts: bool,
}

impl PushQuestion {
    /// The clients of one question: its answer takes some milliseconds.
    pub const CLIENTS_MAX: usize = 100;
}

/// A device that is to be pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// The client that the message is for.
    pub client: ClientId,
    /// The id of the installation.
    pub installation: String,
    /// The type of the device: `ios`, `android` or another.
    pub device_type: String,
    /// The device's address at its vendor.
    pub token: String,
    /// The app on the device, where it named one.
    pub topic: Option<String>,
    /// The team of that app.
    pub team: Option<String>,
    /// The certificate that it named.
    pub profile: Option<String>,
    /// The number on its icon, after it grew.
    pub badge: u32,
}

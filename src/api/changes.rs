//! Calls that change a conversation: its name and attributes, its muting, its members.

use crate::SampanError;
use crate::model::{ClientId, Json};
use crate::store::MembersChange;
use crate::sync::{ChangeMembers, SetAttributes, SetMuted, SetName};

use super::conversation::Conversation;

#[uniffi::export]
impl Conversation {
    /// Gives the conversation another name, for all members. Returns when that is durable in the outbox,
    /// online or not; it shows at once.
    ///
    /// Names and attributes do not wait for messages. Several changes that wait become one, and a change
    /// may be told twice: the service does the same again. If the service refuses it for good, the
    /// conversation shows what it had before, and the outbox entry says why.
    ///
    /// # Errors
    ///
    /// `TooLarge`; `NotPossible` when this client is not in the conversation, or it is a temporary one;
    /// `OutboxFull`; `StoreUnavailable` when the change can't be made durable now; `NotFound`; `SignedOut`;
    /// `ShutDown`.
    pub async fn set_name(&self, name: String) -> Result<(), SampanError> {
        let conversation = self.name();
        self.write(SetName { conversation, name }).await
    }

    /// Changes single attributes, for all members: each key of the JSON object `changes` is set to its value,
    /// null removes the key, and all other attributes stay. So two members who change different keys at
    /// the same time both succeed. Durable and shown as by `set_name`.
    ///
    /// # Errors
    ///
    /// Those of `set_name`; `InvalidArgument` too when `changes` is no JSON object, a key is empty or has a
    /// dot or a dollar sign, or values nest deeper than 31 levels.
    pub async fn set_attributes(&self, changes: Json) -> Result<(), SampanError> {
        let conversation = self.name();
        let call = SetAttributes {
            conversation,
            changes,
        };
        self.write(call).await
    }

    /// Asks not to be notified about the conversation, or to be notified again: for this client alone, on
    /// all its devices. Durable and shown as by `set_name`; the sums of unread counts follow at once.
    ///
    /// # Errors
    ///
    /// Those of `set_name`.
    pub async fn set_muted(&self, muted: bool) -> Result<(), SampanError> {
        let conversation = self.name();
        let call = SetMuted {
            conversation,
            muted,
        };
        self.write(call).await
    }

    /// Comes into the conversation. Returns when that is durable in the outbox, online or not; the list of
    /// members shows it at once. What is sent meanwhile waits behind it.
    ///
    /// To join may be told twice: who is in stays in. If the service refuses it for good, this client is
    /// shown as out again, and the outbox entry says why.
    ///
    /// # Errors
    ///
    /// `NotPossible` when the members of the conversation cannot change; `OutboxFull`; `StoreUnavailable` when it
    /// can't be made durable now; `NotFound`; `SignedOut`; `ShutDown`.
    pub async fn join(&self) -> Result<(), SampanError> {
        self.change_members(MembersChange::Join, Vec::new()).await
    }

    /// Leaves the conversation. Returns when that is durable in the outbox, online or not; the conversation
    /// is shown as left at once. What was sent before goes out first.
    ///
    /// If the answer is lost, the service is asked whether this client is still in before it leaves again.
    /// If the service refuses it for good, this client is shown as in again, and the outbox entry says why.
    ///
    /// # Errors
    ///
    /// Those of `join`.
    pub async fn quit(&self) -> Result<(), SampanError> {
        self.change_members(MembersChange::Quit, Vec::new()).await
    }

    /// Adds members. Returns when that is durable in the outbox, online or not; the list of members shows
    /// them at once. It keeps its place among what is sent.
    ///
    /// The service may add some and refuse others. Then the outbox entry fails with `MembersRefused`, which
    /// names the refused ones, and the list of members shows those who were added. To retry the entry tries
    /// the refused ones again.
    ///
    /// # Errors
    ///
    /// Those of `join`; `InvalidArgument` when nobody is named, or this client is named; `NotPossible` too when
    /// this client is not in the conversation.
    pub async fn add_members(&self, members: Vec<ClientId>) -> Result<(), SampanError> {
        self.change_members(MembersChange::Add, members).await
    }

    /// Removes members. Durable, shown, ordered and refused in part as by `add_members`. If the answer is lost,
    /// the service is asked who is still in, and only those are removed.
    ///
    /// # Errors
    ///
    /// Those of `add_members`.
    pub async fn remove_members(&self, members: Vec<ClientId>) -> Result<(), SampanError> {
        self.change_members(MembersChange::Remove, members).await
    }
}

impl Conversation {
    async fn change_members(
        &self,
        change: MembersChange,
        members: Vec<ClientId>,
    ) -> Result<(), SampanError> {
        let conversation = self.name();
        let call = ChangeMembers {
            conversation,
            change,
            members,
        };
        self.write(call).await
    }
}

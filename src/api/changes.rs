//! Calls that change a conversation: its name and attributes, its muting, its members. Each answers the
//! commit that holds the change.

use crate::SampanError;
use crate::model::{AttributeChange, ClientId, CommitSeq, Json, MemberRole};
use crate::store::MembersChange;
use crate::sync::{ChangeAttribute, ChangeMembers, SetAttributes, SetMuted, SetName};

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
    pub async fn set_name(&self, name: String) -> Result<CommitSeq, SampanError> {
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
    pub async fn set_attributes(&self, changes: Json) -> Result<CommitSeq, SampanError> {
        let conversation = self.name();
        let call = SetAttributes {
            conversation,
            changes,
        };
        self.write(call).await
    }

    /// Changes an attribute by the value that it has at the service, and answers its value after that; none where
    /// the service does not tell. So two members who count at the same time both succeed.
    ///
    /// The call needs the service and never waits in the outbox, for a change that is made twice is another one.
    /// After `TimedOut` nobody knows whether the change was made: read the attribute before the next try.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `InvalidArgument` when the key is empty or has a dot or a dollar sign, or
    /// values nest deeper than 31 levels; `TooLarge`; `NotPossible` when this client is not in the conversation, or
    /// it is a temporary one; `NotFound`; `StoreUnavailable`; `SignedOut`; `ShutDown`.
    pub async fn change_attribute(
        &self,
        key: String,
        change: AttributeChange,
    ) -> Result<Option<Json>, SampanError> {
        let conversation = self.name();
        let call = ChangeAttribute {
            conversation,
            key,
            change,
        };
        Ok(self.request(call).await?.value)
    }

    /// Asks not to be notified about the conversation, or to be notified again: for this client alone, on
    /// all its devices. Durable and shown as by `set_name`; the sums of unread counts follow at once.
    ///
    /// # Errors
    ///
    /// Those of `set_name`.
    pub async fn set_muted(&self, muted: bool) -> Result<CommitSeq, SampanError> {
        let conversation = self.name();
        let call = SetMuted {
            conversation,
            muted,
        };
        self.write(call).await
    }

    /// Comes into the conversation. Returns when that is durable in the outbox, online or not; the list of
    /// members shows it at once. Messages that are sent meanwhile wait behind it.
    ///
    /// A chat room is entered, and the one that this client was inside of before is left: a client is inside one
    /// at most. The service keeps the place for 30 minutes after a connection is lost, and none after
    /// `Client.go_offline`; a client that was away for longer is shown as outside and enters by another call. To join a
    /// service conversation is to subscribe to it. The list of members of these two kinds stays empty.
    ///
    /// A join may be told twice: a client that is in stays in. If the service refuses it for good, this client is
    /// shown as out again, and the outbox entry says why.
    ///
    /// # Errors
    ///
    /// `NotPossible` for a temporary conversation; `OutboxFull`; `StoreUnavailable` when it
    /// can't be made durable now; `NotFound`; `SignedOut`; `ShutDown`.
    pub async fn join(&self) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Join, Vec::new()).await
    }

    /// Leaves the conversation, or the chat room, or ends the subscription. Returns when that is durable in the
    /// outbox, online or not; the conversation is shown as left at once. Messages that were sent before go out first.
    ///
    /// If the answer is lost, the service is asked whether this client is still in before it leaves again; a chat
    /// room is simply left again. A client that left a chat room may still speak there. If the service refuses it for
    /// good, this client is shown as in again, and the outbox entry says why.
    ///
    /// # Errors
    ///
    /// Those of `join`.
    pub async fn quit(&self) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Quit, Vec::new()).await
    }

    /// Adds members. Returns when that is durable in the outbox, online or not; the list of members shows
    /// them at once. The change keeps its place among the messages that are sent.
    ///
    /// The service may add some and refuse others. Then the outbox entry fails with `MembersRefused`, which
    /// names the refused ones, and the list of members shows those who were added. A retry of the entry tries the
    /// refused ones again.
    ///
    /// # Errors
    ///
    /// Those of `join`; `InvalidArgument` when nobody is named, or this client is named; `NotPossible` too when
    /// this client is not in the conversation.
    pub async fn add_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Add, members).await
    }

    /// Removes members. Durable, shown, ordered and refused in part as by `add_members`. If the answer is lost,
    /// the service is asked who is still in, and only those are removed.
    ///
    /// # Errors
    ///
    /// Those of `add_members`.
    pub async fn remove_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Remove, members).await
    }

    /// Blocks clients: those who are in are removed, and none of them can come in until `unblock_members`. Durable,
    /// ordered and refused in part as by `add_members`; it shows at once. It may be told twice: a blocked client
    /// stays blocked. If the service refuses it for good, the members are shown again, and the outbox entry says why.
    ///
    /// # Errors
    ///
    /// Those of `add_members`. A chat room can be closed to clients too.
    pub async fn block_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Block, members).await
    }

    /// Takes clients off the block list. That does not bring them into the conversation. Durable, ordered, repeated
    /// and refused as by `block_members`.
    ///
    /// # Errors
    ///
    /// Those of `block_members`.
    pub async fn unblock_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Unblock, members).await
    }

    /// Silences members: they read on and cannot send, until `unsilence_members`. Durable, ordered, repeated and
    /// refused as by `block_members`; the list of members shows it at once.
    ///
    /// # Errors
    ///
    /// Those of `block_members`.
    pub async fn silence_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Silence, members).await
    }

    /// Lets silenced members send again. Durable, ordered, repeated and refused as by `block_members`.
    ///
    /// # Errors
    ///
    /// Those of `block_members`.
    pub async fn unsilence_members(
        &self,
        members: Vec<ClientId>,
    ) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Unsilence, members).await
    }

    /// Makes a member a manager, or takes that role back. Durable and ordered as by `add_members`; the list of
    /// members shows it at once. It may be told twice: the service does the same again. If the service refuses
    /// it for good, because this client does not own the conversation or the app has no roles, the member is
    /// shown in its old role, and the outbox entry says why.
    ///
    /// # Errors
    ///
    /// Those of `add_members`; `InvalidArgument` too for the role of an owner, which nobody can give.
    pub async fn set_role(
        &self,
        member: ClientId,
        role: MemberRole,
    ) -> Result<CommitSeq, SampanError> {
        let change = match role {
            MemberRole::Manager => MembersChange::Promote,
            MemberRole::Member => MembersChange::Demote,
            MemberRole::Owner => {
                return Err(SampanError::InvalidArgument {
                    reason: "role: who made the conversation owns it".to_owned(),
                });
            }
        };
        self.change_members(change, vec![member]).await
    }
}

impl Conversation {
    async fn change_members(
        &self,
        change: MembersChange,
        members: Vec<ClientId>,
    ) -> Result<CommitSeq, SampanError> {
        let conversation = self.name();
        let call = ChangeMembers {
            conversation,
            change,
            members,
        };
        self.write(call).await
    }
}

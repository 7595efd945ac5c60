//! Calls that change a conversation: its name and attributes, its muting, its members. Each answers the commit that
//! holds the change.

use crate::SampanError;
use crate::model::{AttributeChange, ClientId, CommitSeq, Json, MemberRole};
use crate::store::MembersChange;
use crate::sync::{ChangeAttribute, ChangeMembers, SetAttributes, SetMuted, SetName};

use super::conversation::Conversation;

#[uniffi::export]
impl Conversation {
    /// Renames the conversation for all members. Returns when the change is durable in the outbox, online or not.
    /// Reads and views show it at once.
    ///
    /// Names and attributes do not wait for messages. Several waiting changes become one. A repeated change does no
    /// harm, so a change may be sent twice. If the service refuses it for good, the conversation shows its old
    /// value again, and the outbox entry gives the reason.
    ///
    /// # Errors
    ///
    /// `TooLarge`; `NotPossible` when this client is not in the conversation, or the conversation is temporary;
    /// `OutboxFull`; `StoreUnavailable` when the change can't be made durable now; `NotFound`; `SignedOut`;
    /// `ShutDown`.
    pub async fn set_name(&self, name: String) -> Result<CommitSeq, SampanError> {
        let conversation = self.name();
        self.write(SetName { conversation, name }).await
    }

    /// Changes single attributes for all members. Each key of the JSON object `changes` gets its value, null
    /// removes the key, and all other attributes stay. Two members who change different keys at the same time
    /// therefore both succeed. Durable and shown as by `set_name`.
    ///
    /// # Errors
    ///
    /// Those of `set_name`; also `InvalidArgument` when `changes` is no JSON object, a key is empty or has a dot or
    /// a dollar sign, or values nest deeper than 31 levels.
    pub async fn set_attributes(&self, changes: Json) -> Result<CommitSeq, SampanError> {
        let conversation = self.name();
        let call = SetAttributes {
            conversation,
            changes,
        };
        self.write(call).await
    }

    /// Changes an attribute relative to its value at the service, and answers the new value; none where the service
    /// does not tell it. Two members who count at the same time therefore both succeed.
    ///
    /// The call needs the service and is never queued, because a repeated change would count twice. After
    /// `TimedOut` it is unknown if the service made the change: read the attribute before the next try.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `InvalidArgument` when the key is empty or has a dot or a dollar
    /// sign, or values nest deeper than 31 levels; `TooLarge`; `NotPossible` when this client is not in the
    /// conversation, or the conversation is temporary; `NotFound`; `StoreUnavailable`; `SignedOut`; `ShutDown`.
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

    /// Mutes the conversation or ends the muting, for this client alone, on all its devices. A muted conversation
    /// gets no pushes. Durable and shown as by `set_name`; the sums of unread counts change at once.
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

    /// Joins the conversation. Returns when the join is durable in the outbox, online or not. The list of members
    /// shows it at once. Messages that are sent afterwards wait behind it.
    ///
    /// A client is inside one chat room at most: joining a chat room leaves the room before. The service keeps the
    /// place for 30 minutes after a lost connection, and gives it up after `Client.go_offline`. A client that was
    /// away for longer is outside and must join again. Joining a service conversation subscribes to it. The list of
    /// members of these two kinds stays empty.
    ///
    /// A repeated join does no harm. If the service refuses the join for good, the conversation shows this client
    /// as out again, and the outbox entry gives the reason.
    ///
    /// # Errors
    ///
    /// `NotPossible` for a temporary conversation; `OutboxFull`; `StoreUnavailable` when the join can't be made
    /// durable now; `NotFound`; `SignedOut`; `ShutDown`.
    pub async fn join(&self) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Join, Vec::new()).await
    }

    /// Leaves the conversation or the chat room, or ends the subscription. Returns when that is durable in the
    /// outbox, online or not. The conversation shows as left at once. Messages that were sent before go out first.
    ///
    /// If the answer is lost, the engine asks the service for the membership before it leaves again; a chat room is
    /// left again without asking. A client that left a chat room may still send there. If the service refuses for
    /// good, the conversation shows this client as in again, and the outbox entry gives the reason.
    ///
    /// # Errors
    ///
    /// Those of `join`.
    pub async fn quit(&self) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Quit, Vec::new()).await
    }

    /// Adds members. Returns when that is durable in the outbox, online or not. The list of members shows them at
    /// once. The change keeps its place in the order of the sent messages.
    ///
    /// The service may add some members and refuse others. The outbox entry then fails with `MembersRefused`, which
    /// names the refused ones, and the list of members shows the added ones. A retry of the entry tries the refused
    /// ones again.
    ///
    /// # Errors
    ///
    /// Those of `join`; `InvalidArgument` when `members` is empty or names this client; also `NotPossible` when
    /// this client is not in the conversation.
    pub async fn add_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Add, members).await
    }

    /// Removes members. Durable, shown, ordered and refused in part as by `add_members`. If the answer is lost, the
    /// engine asks the service for the members, and removes only those who are still in.
    ///
    /// # Errors
    ///
    /// Those of `add_members`.
    pub async fn remove_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Remove, members).await
    }

    /// Blocks clients. Blocked members are removed, and a blocked client cannot join until `unblock_members`.
    /// Durable, ordered and refused in part as by `add_members`; the list of members shows it at once. A repeated
    /// block does no harm. If the service refuses for good, the members show again, and the outbox entry gives the
    /// reason.
    ///
    /// # Errors
    ///
    /// Those of `add_members`. A chat room can block clients too.
    pub async fn block_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Block, members).await
    }

    /// Takes clients off the block list. They do not become members by it. Durable, ordered, repeated and refused
    /// as by `block_members`.
    ///
    /// # Errors
    ///
    /// Those of `block_members`.
    pub async fn unblock_members(&self, members: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.change_members(MembersChange::Unblock, members).await
    }

    /// Silences members: they can read and cannot send, until `unsilence_members`. Durable, ordered, repeated and
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

    /// Makes a member a manager, or an ordinary member again. Durable and ordered as by `add_members`; the list of
    /// members shows it at once. A repeated change does no harm. If the service refuses for good, because this
    /// client does not own the conversation or the app has no roles, the member has its old role again, and the
    /// outbox entry gives the reason.
    ///
    /// # Errors
    ///
    /// Those of `add_members`; also `InvalidArgument` for the role of an owner, which cannot be given.
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

//! Members of a conversation: their roles, and the notices when members or roles change.

use super::{ClientId, ConversationId, Timestamp};

/// The role of a member, which tells what the member may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum MemberRole {
    /// Made the conversation. The owner may do everything, gives roles, and cannot be removed.
    Owner,
    /// May remove, silence and block members that are neither owner nor manager.
    Manager,
    /// Every other member.
    #[default]
    Member,
}

impl MemberRole {
    /// The name on the wire (the protocol, section 5.8).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Manager => "Manager",
            Self::Member => "Member",
        }
    }

    /// The role of a name on the wire, if it is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Owner, Self::Manager, Self::Member];
        all.into_iter().find(|role| role.name() == name)
    }
}

/// The kinds of change of a conversation's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum MembersEvent {
    /// This client was added by somebody else. `Joined` with this client among the members follows.
    Invited,
    /// Members came in, by themselves or added.
    Joined,
    /// Members left by themselves or were removed. Of this client it is told only when it left by itself.
    Left,
    /// This client was removed by somebody else.
    Removed,
    /// Clients were blocked: they cannot come in.
    Blocked,
    /// Clients are blocked no more.
    Unblocked,
    /// Members were silenced: they may read and not send.
    Silenced,
    /// Members are silenced no more.
    Unsilenced,
    /// Members have another role.
    RoleChanged {
        /// Their role from then on.
        role: MemberRole,
    },
}

/// A change of a conversation's members: of whom, by whom, and when.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct MembersNotice {
    /// The conversation.
    pub conversation: ConversationId,
    /// The kind of change.
    pub event: MembersEvent,
    /// The members whom it concerns.
    pub members: Vec<ClientId>,
    /// The client that made the change; none where this device learnt of it by comparing lists after an absence.
    pub by: Option<ClientId>,
    /// When, by the service's clock; none where the service does not say.
    pub at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_comes_back_from_its_name() {
        for role in [MemberRole::Owner, MemberRole::Manager, MemberRole::Member] {
            assert_eq!(MemberRole::from_name(role.name()), Some(role));
        }
        assert_eq!(MemberRole::from_name("owner"), None);
    }
}

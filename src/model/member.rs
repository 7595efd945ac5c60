//! Members of a conversation: their roles, and the notices when members or roles change.

use super::{ClientId, ConversationId, Timestamp};

/// The role of a member, which decides the member's rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum MemberRole {
    /// The creator of the conversation. The owner has every right, gives roles, and cannot be removed.
    Owner,
    /// A manager may remove, silence and block members that are neither owner nor manager.
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

    /// The role of a name on the wire; none for an unknown name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Owner, Self::Manager, Self::Member];
        all.into_iter().find(|role| role.name() == name)
    }
}

/// The kinds of change of a conversation's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum MembersEvent {
    /// Another client added this client. `Joined` with this client among the members follows.
    Invited,
    /// Members joined or were added.
    Joined,
    /// Members left or were removed. For this client the notice comes only when it left by itself.
    Left,
    /// Another client removed this client.
    Removed,
    /// Clients were blocked: they cannot join.
    Blocked,
    /// Clients are no longer blocked.
    Unblocked,
    /// Members were silenced: they can read and cannot send.
    Silenced,
    /// Members are no longer silenced.
    Unsilenced,
    /// Members have another role.
    RoleChanged {
        /// Their new role.
        role: MemberRole,
    },
}

/// A change of a conversation's members, with its author and its time.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct MembersNotice {
    /// The conversation.
    pub conversation: ConversationId,
    /// The kind of change.
    pub event: MembersEvent,
    /// The members that changed.
    pub members: Vec<ClientId>,
    /// The author of the change; none where this device found the change by comparing lists after an absence, and the
    /// service's REST interface, which keeps missed notifications for some days, did not tell the author.
    pub by: Option<ClientId>,
    /// The time of the change, by the service's clock; none where the service does not tell it.
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

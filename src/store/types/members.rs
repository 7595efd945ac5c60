//! Members of a conversation: the changes that an app asks for, and the lists beside the members.

use std::collections::BTreeSet;

use crate::model::{ClientId, MemberRole};

/// A change of a conversation's members or of their rights.
#[derive(Clone, Debug, PartialEq)]
pub struct MembersIntent {
    /// The change.
    pub change: MembersChange,
    /// Whom; of a join or a quit, this client alone.
    pub members: Vec<ClientId>,
}

/// A change of a conversation's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersChange {
    /// This client comes in.
    Join,
    /// This client leaves.
    Quit,
    /// Others come in.
    Add,
    /// Others are removed.
    Remove,
    /// Others are blocked, and so removed.
    Block,
    /// Others are blocked no more.
    Unblock,
    /// Others are silenced.
    Silence,
    /// Others are silenced no more.
    Unsilence,
    /// One other becomes a manager.
    Promote,
    /// One other is a manager no more.
    Demote,
}

impl MembersChange {
    /// True if the members are in the conversation afterwards, who may not have been before.
    #[must_use]
    pub const fn adds(self) -> bool {
        matches!(self, Self::Join | Self::Add)
    }

    /// True if members are taken out that may be added again by others: a repeat undoes that.
    #[must_use]
    pub const fn takes_out(self) -> bool {
        matches!(self, Self::Quit | Self::Remove)
    }

    /// True if the change gives a role.
    #[must_use]
    pub const fn is_role(self) -> bool {
        matches!(self, Self::Promote | Self::Demote)
    }

    /// True if the change puts clients on the block list or the silence list, or takes them off.
    #[must_use]
    pub const fn is_ban(self) -> bool {
        matches!(
            self,
            Self::Block | Self::Unblock | Self::Silence | Self::Unsilence
        )
    }
}

/// A conversation's lists of silenced and blocked clients, as far as the service told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberLists {
    /// Members with the role of a manager.
    pub managers: BTreeSet<ClientId>,
    /// Clients that may read and not send.
    pub silenced: BTreeSet<ClientId>,
    /// Clients that cannot come in.
    pub blocked: BTreeSet<ClientId>,
}

impl MemberLists {
    /// The most clients of one list: the service takes no more.
    pub const MAX: usize = 1000;

    /// True if all lists are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of clients that are named in all lists together.
    #[must_use]
    pub fn len(&self) -> usize {
        let both = self.managers.len().saturating_add(self.silenced.len());
        both.saturating_add(self.blocked.len())
    }

    /// The role of a client, given who made the conversation.
    #[must_use]
    pub fn role_of(&self, client: &ClientId, creator: Option<&ClientId>) -> MemberRole {
        if creator == Some(client) {
            MemberRole::Owner
        } else if self.managers.contains(client) {
            MemberRole::Manager
        } else {
            MemberRole::Member
        }
    }
}

/// Puts clients on a list as long as there is room, or takes them off.
pub fn put_on(list: &mut BTreeSet<ClientId>, clients: &[ClientId], listed: bool) {
    for client in clients {
        if !listed {
            list.remove(client);
        } else if list.len() < MemberLists::MAX {
            list.insert(client.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_takes_no_more_than_the_service_does() {
        let clients = (0..1001).map(|at| ClientId::new(format!("c{at}")));
        let clients: Vec<_> = clients.collect::<Result<_, _>>().unwrap();
        let mut list = BTreeSet::new();
        put_on(&mut list, &clients, true);
        assert_eq!(list.len(), MemberLists::MAX);
    }
}

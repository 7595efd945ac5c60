//! The notices of members for the app: a client joined, left, was blocked, silenced or given a role, with
//! author and time.
//!
//! A notification may come twice: once over the socket, and once among the missed ones. A notice is told once
//! for each conversation, time, event and members.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ClientId, ConversationId, MembersEvent, MembersNotice, Timestamp};
use crate::store::ConversationNumber;
use crate::sync::client::{Client, Turn};

/// Of how many conversations notices are remembered.
const CONVERSATIONS_MAX: usize = 256;

/// How many notices of a conversation are remembered: the newest ones.
const NOTICES_MAX: usize = 16;

/// The newest notices of each conversation.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Notices {
    last: BTreeMap<ConversationNumber, BTreeSet<NoticeTold>>,
    /// The last event that this client alone was told of itself: the same event follows once more, for all
    /// members.
    own: BTreeMap<ConversationNumber, MembersEvent>,
}

type NoticeTold = (Timestamp, MembersEvent, Vec<ClientId>);

/// Two lists of members of one conversation.
pub(in crate::sync::client) struct Difference<'a> {
    /// The conversation.
    pub(in crate::sync::client) conversation: &'a ConversationId,
    /// The members before, as far as this device knew.
    pub(in crate::sync::client) before: &'a [ClientId],
    /// The members now.
    pub(in crate::sync::client) now: &'a [ClientId],
    /// The time at which the conversation changed last.
    pub(in crate::sync::client) changed_at: Option<Timestamp>,
}

impl Notices {
    /// True if a notice is told for the first time; the notice is remembered then. A notice without a time is not
    /// remembered.
    fn is_first(
        &mut self,
        number: ConversationNumber,
        at: Option<Timestamp>,
        notice: &MembersNotice,
    ) -> bool {
        let Some(at) = at else {
            return true;
        };
        if self.last.len() >= CONVERSATIONS_MAX && !self.last.contains_key(&number) {
            self.last.pop_first();
        }
        let told = self.last.entry(number).or_default();
        let is_first = told.insert((at, notice.event, notice.members.clone()));
        if told.len() > NOTICES_MAX {
            told.pop_first();
        }
        is_first
    }
}

impl Notices {
    /// Notes an event that this client was told of itself.
    pub(in crate::sync::client) fn note_own(
        &mut self,
        number: ConversationNumber,
        event: MembersEvent,
    ) {
        if self.own.len() < CONVERSATIONS_MAX {
            self.own.insert(number, event);
        }
    }

    /// True if this client was told of itself just before, and not again since.
    pub(in crate::sync::client) fn takes_own(
        &mut self,
        number: ConversationNumber,
        event: MembersEvent,
    ) -> bool {
        self.own.remove(&number) == Some(event)
    }
}

impl Client {
    /// Tells the app of members, once.
    pub(in crate::sync::client) fn tell_members(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        notice: MembersNotice,
    ) {
        debug_assert!(!notice.members.is_empty(), "a notice names somebody");
        if self.notices.is_first(number, notice.at, &notice) {
            turn.step.notices.push(notice);
        }
    }

    /// Tells the app the difference of two lists of members: who joined and who left. Missed notifications tell the
    /// authors. The notification of the same change may still come, with the time of the row.
    pub(in crate::sync::client) fn tell_difference(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        difference: Difference<'_>,
    ) {
        let Difference {
            conversation,
            before,
            now,
            changed_at,
        } = difference;
        let me = self.settings.client.clone();
        let without = |all: &[ClientId], others: &[ClientId]| -> Vec<ClientId> {
            let missing = all.iter().filter(|member| !others.contains(member));
            missing.cloned().collect()
        };
        let (came, gone) = (without(now, before), without(before, now));
        let mut tell = |event, members: Vec<ClientId>| {
            let notice = MembersNotice {
                conversation: conversation.clone(),
                event,
                members,
                by: None,
                at: None,
            };
            let tells = !notice.members.is_empty();
            if tells && self.notices.is_first(number, changed_at, &notice) {
                self.tell_compared(turn, notice);
            }
        };
        if came.contains(&me) {
            tell(MembersEvent::Invited, vec![me.clone()]);
        }
        tell(MembersEvent::Joined, came);
        if gone.contains(&me) {
            tell(MembersEvent::Removed, vec![me]);
        } else {
            tell(MembersEvent::Left, gone);
        }
    }
}

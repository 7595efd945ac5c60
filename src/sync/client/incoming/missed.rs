//! The notifications that were missed, as the service tells them over HTTP: who made the changes of members that a
//! comparison of two lists shows, and which roles and lists of members changed meanwhile.
//!
//! The question leaves when a session opens; the comparison comes over the socket at about the same time. A notice that
//! a comparison shows waits for the answer, and is told without a name where the answer has none.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ClientId, ConversationId, MemberRole, MembersEvent, MembersNotice, Timestamp};
use crate::store::{ConversationNumber, ConversationRow, StoreError};
use crate::sync::client::session::valid_token;
use crate::sync::client::{Client, Turn};
use crate::sync::{Effect, EffectId, MissedQuestion};
use crate::wire::{Command, Envelope, iso};

use super::membership::list;

/// The most missed notifications that are looked at.
const TOLD_MAX: usize = 2_000;

/// The notifications that were missed before the session opened, as far as they are known.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Missed {
    /// The question that is on its way.
    asked: Option<EffectId>,
    /// The notices of comparisons that wait for the answer.
    held: Vec<MembersNotice>,
    /// Until when the list of conversations is complete, while the answer is awaited.
    listed_until: Option<Timestamp>,
    /// The changes that the answer told, oldest first.
    told: Vec<MembersNotice>,
    /// The places on lists of which a notification came over the socket meanwhile: it is newer than the answer.
    live: BTreeSet<ListedClient>,
}

/// A client's place on one of the lists of a conversation.
type ListedClient = (ConversationNumber, ListKind, ClientId);

/// The lists beside the members of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ListKind {
    Managers,
    Silenced,
    Blocked,
}

impl ListKind {
    /// The list that an event is about.
    const fn of(event: MembersEvent) -> Option<Self> {
        match event {
            MembersEvent::RoleChanged { .. } => Some(Self::Managers),
            MembersEvent::Silenced | MembersEvent::Unsilenced => Some(Self::Silenced),
            MembersEvent::Blocked | MembersEvent::Unblocked => Some(Self::Blocked),
            MembersEvent::Invited
            | MembersEvent::Joined
            | MembersEvent::Left
            | MembersEvent::Removed => None,
        }
    }
}

impl Missed {
    /// Notes that a notification came over the socket while the question is on its way.
    pub(super) fn note_live(
        &mut self,
        number: ConversationNumber,
        event: MembersEvent,
        members: &[ClientId],
    ) {
        if let (Some(kind), Some(_)) = (ListKind::of(event), self.asked) {
            let clients = members.iter().cloned();
            self.live
                .extend(clients.map(|client| (number, kind, client)));
        }
    }

    /// The newest change that brought a member's coming or going about, if the service told it.
    fn cause(&self, notice: &MembersNotice, member: &ClientId) -> Option<&MembersNotice> {
        let explains = |told: &&MembersNotice| {
            told.conversation == notice.conversation
                && told.members.contains(member)
                && match notice.event {
                    MembersEvent::Joined => {
                        matches!(told.event, MembersEvent::Joined | MembersEvent::Invited)
                    }
                    MembersEvent::Removed => {
                        matches!(told.event, MembersEvent::Removed | MembersEvent::Left)
                    }
                    event => told.event == event,
                }
        };
        self.told.iter().rev().find(explains)
    }
}

impl Client {
    /// Asks for what was missed since everything was known last. Before the first list nothing was missed.
    pub(in crate::sync::client) fn ask_missed(&mut self, turn: &mut Turn<'_, '_>) {
        let Some(since) = turn.overlay.snapshot().session().missed_until else {
            return;
        };
        let Some(token) = valid_token(turn) else {
            return;
        };
        let effect = self.fresh_effect();
        self.missed.asked = Some(effect);
        let question = MissedQuestion {
            effect,
            since,
            token,
        };
        turn.step.effects.push(Effect::AskMissed(question));
    }

    /// The service told what was missed, or was not reached.
    pub(in crate::sync::client) fn missed_told(
        &mut self,
        turn: &mut Turn<'_, '_>,
        effect: EffectId,
        told: Vec<Envelope>,
    ) -> Result<(), StoreError> {
        if self.missed.asked != Some(effect) {
            return Ok(());
        }
        self.missed.asked = None;
        for envelope in told.iter().take(TOLD_MAX) {
            let notice = self.notice_of(envelope);
            self.missed.told.extend(notice);
        }
        self.lists_changed(turn)?;
        for notice in std::mem::take(&mut self.missed.held) {
            self.explain(turn, notice);
        }
        if let Some(until) = self.missed.listed_until.take() {
            note_all_known(turn, until);
        }
        Ok(())
    }

    /// The list of conversations is complete up to this time. That is noted together with the missed notifications: a
    /// client whose connection or process ends before their answer asks for them again.
    pub(in crate::sync::client) fn list_is_complete(
        &mut self,
        turn: &mut Turn<'_, '_>,
        until: Timestamp,
    ) {
        match self.missed.asked {
            Some(_) => self.missed.listed_until = Some(until),
            None => note_all_known(turn, until),
        }
    }

    /// Tells a notice that a comparison showed, with the name of who did it as soon as that is known.
    pub(in crate::sync::client) fn tell_compared(
        &mut self,
        turn: &mut Turn<'_, '_>,
        notice: MembersNotice,
    ) {
        match self.missed.asked {
            Some(_) => self.missed.held.push(notice),
            None => self.explain(turn, notice),
        }
    }

    /// The connection is gone, and the answer with it.
    pub(in crate::sync::client) fn forget_missed(&mut self, turn: &mut Turn<'_, '_>) {
        let missed = std::mem::take(&mut self.missed);
        turn.step.notices.extend(missed.held);
    }

    fn notice_of(&self, envelope: &Envelope) -> Option<MembersNotice> {
        let Command::Conv { op, body } = &envelope.command else {
            return None;
        };
        let conversation = ConversationId::new(body.cid.as_deref()?).ok()?;
        let change = self.told_of_members(*op, body)?;
        let by = body.init_by.as_ref().and_then(|it| ClientId::new(it).ok());
        let changed_at = body.udate.as_deref().and_then(iso::parse);
        Some(MembersNotice {
            conversation,
            event: change.event,
            members: change.members,
            by,
            at: changed_at.or(envelope.server_ts),
        })
    }

    /// Tells a notice in as many parts as clients and moments brought it about, in the order of time.
    fn explain(&mut self, turn: &mut Turn<'_, '_>, notice: MembersNotice) {
        let mut parts: BTreeMap<(Option<Timestamp>, Option<ClientId>), Vec<ClientId>> =
            BTreeMap::new();
        for member in &notice.members {
            let cause = self.missed.cause(&notice, member);
            let key = cause.map_or((notice.at, None), |it| (it.at, it.by.clone()));
            parts.entry(key).or_default().push(member.clone());
        }
        for ((at, by), members) in parts {
            let is_own = by.as_ref() == Some(self.me());
            let event = match notice.event {
                // As it is told while one is there: see `conversation_told`.
                MembersEvent::Invited if is_own => continue,
                MembersEvent::Removed if is_own => MembersEvent::Left,
                event => event,
            };
            turn.step.notices.push(MembersNotice {
                conversation: notice.conversation.clone(),
                event,
                members,
                by,
                at,
            });
        }
    }

    /// Brings the lists beside the members up to date, and tells what is new about them: of several changes of one
    /// place the last one counts.
    fn lists_changed(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let mut last: BTreeMap<ListedClient, usize> = BTreeMap::new();
        for (index, told) in self.missed.told.iter().enumerate() {
            let Some(kind) = ListKind::of(told.event) else {
                continue;
            };
            // Of lists and roles of a conversation that is not on this device nothing is kept.
            let Some(number) = turn.overlay.snapshot().number(&told.conversation)? else {
                continue;
            };
            for client in &told.members {
                last.insert((number, kind, client.clone()), index);
            }
        }
        let mut news: Vec<(usize, ListedClient)> = last
            .into_iter()
            .filter(|(place, _)| !self.missed.live.contains(place))
            .map(|(place, index)| (index, place))
            .collect();
        news.sort();
        for (index, (number, _, client)) in news {
            let Some(told) = self.missed.told.get(index).cloned() else {
                continue;
            };
            let row = turn.overlay.snapshot().conversation(number)?;
            if row.is_none_or(|row| is_known(&row, told.event, &client)) {
                continue;
            }
            let members = vec![client];
            turn.overlay.update_conversation(number, |row| {
                list(&mut row.lists, told.event, &members);
            })?;
            let notice = MembersNotice { members, ..told };
            self.tell_members(turn, number, notice);
        }
        Ok(())
    }
}

fn note_all_known(turn: &mut Turn<'_, '_>, until: Timestamp) {
    turn.overlay.update_session(|row| {
        row.missed_until = row.missed_until.max(Some(until));
    });
}

/// True if an event of a list brings nothing new about a client.
fn is_known(row: &ConversationRow, event: MembersEvent, client: &ClientId) -> bool {
    let lists = &row.lists;
    match event {
        MembersEvent::RoleChanged { role } => {
            lists.managers.contains(client) == (role == MemberRole::Manager)
        }
        MembersEvent::Silenced => lists.silenced.contains(client),
        MembersEvent::Unsilenced => !lists.silenced.contains(client),
        MembersEvent::Blocked => lists.blocked.contains(client),
        MembersEvent::Unblocked => !lists.blocked.contains(client),
        MembersEvent::Invited
        | MembersEvent::Joined
        | MembersEvent::Left
        | MembersEvent::Removed => true,
    }
}

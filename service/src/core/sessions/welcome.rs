//! The welcome of a client right after its login: everything that it missed. The welcome is a job of several
//! parts, because a client may be a member of very many conversations.
//!
//! One notification has the unread counts of the conversations with the newest messages. A first walk finds the
//! candidates by the time of their newest message alone. A second walk counts them from the newest on, until no
//! other conversation can be among the told ones. The client gets live messages meanwhile, so right before the
//! counts are told, the counts that changed since are taken anew.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sampan::model::{AppId, ClientId, ConversationId, Now, Timestamp};
use sampan::wire::generated::{DirectCommand, PatchItem, SessionCommand, UnreadTuple};
use sampan::wire::{Command, OfflineMode};

use crate::core::access::Operation;
use crate::core::exchange::decision::{Audience, Caller, Decision, Notice, Part};
use crate::core::exchange::refusal::Failure;
use crate::core::gate::Admitted;
use crate::core::machine::Core;
use crate::core::messages::patch;
use crate::core::messages::send::direct;
use crate::core::messages::unread::{is_from_others, notification};
use crate::core::settings::Settings;
use crate::storage::{Conversation, Edge, Kind, Member, Order, Place, Span, Storage, Write};

/// The client understands edits and recalls (`configBitmap`, bit 0).
const UNDERSTANDS_PATCHES: i64 = 1;

/// Conversations of one client that are looked at.
const MEMBERSHIPS_MAX: usize = 10_000;

/// Conversations that are read at a time.
const AT_ONCE: usize = 16;

/// Candidates that are kept for each conversation that is told: own messages may be newest in some.
const CANDIDATES_EACH: usize = 8;

/// A welcome under way.
#[derive(Debug)]
pub(in crate::core) struct Welcome {
    stages: VecDeque<Stage>,
    /// True if anything was told; the first command keeps its distance from the reply.
    told: bool,
}

#[derive(Debug)]
enum Stage {
    Unread(Unread),
    Push(PushStage),
    Broadcasts,
    Patches(Patches),
}

/// A walk through the conversations of a client.
#[derive(Debug, Default)]
struct Walk {
    ids: VecDeque<ConversationId>,
    after: Option<ConversationId>,
    looked_at: usize,
    is_over: bool,
}

impl Walk {
    /// The next conversation; none at the end.
    async fn next<S: Storage>(
        &mut self,
        storage: &S,
        app: &AppId,
        client: &ClientId,
    ) -> Result<Option<ConversationId>, Failure> {
        if self.ids.is_empty() && !self.is_over {
            let after = self.after.as_ref();
            let ids = storage.memberships(app, client, after, AT_ONCE).await?;
            self.after = ids.last().cloned();
            self.looked_at += ids.len();
            self.is_over = ids.len() < AT_ONCE || self.looked_at >= MEMBERSHIPS_MAX;
            self.ids = ids.into();
        }
        Ok(self.ids.pop_front())
    }
}

/// The unread counts of a client in unread mode.
#[derive(Debug)]
struct Unread {
    /// Only messages that came since then.
    since: Option<Timestamp>,
    /// Counts that another device cleared since then are news too.
    read_since: Option<Timestamp>,
    walk: Option<Walk>,
    /// The conversations that may have new messages, by an upper bound of the newest message's time.
    candidates: BTreeSet<(Reverse<Timestamp>, ConversationId)>,
    counted: Vec<MissedCount>,
}

/// A conversation with news.
#[derive(Debug)]
struct MissedCount {
    at: Timestamp,
    id: ConversationId,
    /// The marks from which the count began.
    seen: (Option<Timestamp>, Timestamp),
    tuple: UnreadTuple,
}

/// The messages that a client in push mode has not acknowledged.
#[derive(Debug, Default)]
struct PushStage {
    walk: Walk,
    /// Of a login of the first generation, which watches others: the newest messages of the conversations
    /// that were looked at. They are pushed at the end, those of all conversations together.
    of_peers: Option<BTreeMap<Place, DirectCommand>>,
}

impl PushStage {
    fn of(request: &SessionCommand) -> Self {
        let watches = !request.session_peer_ids.is_empty();
        Self {
            walk: Walk::default(),
            of_peers: watches.then(BTreeMap::new),
        }
    }

    /// The messages that are pushed of a conversation, and how many of them at most.
    fn bounds(&self, now: Now, settings: &Settings, member: &Member) -> (Span, usize) {
        let mut since = member.received_until.max(member.joined_at);
        let mut most = settings.limits.pushed_messages;
        if self.of_peers.is_some() {
            since = since.max(before(now.wall, settings.retention.peer_messages()));
            most = settings.limits.peer_messages;
        }
        let older = Some(Edge {
            at: since,
            id: None,
            included: false,
        });
        (Span { older, newer: None }, most)
    }

    /// Of the conversations together so many messages are pushed: the newest.
    fn trim(&mut self, most: usize) {
        if let Some(kept) = &mut self.of_peers {
            while kept.len() > most {
                kept.pop_first();
            }
        }
    }
}

/// The time so long before another.
fn before(time: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(time.as_millis().saturating_sub(span))
}

/// The edits and recalls that a client missed, told in rounds, the oldest first: the newest that a client was told is the
/// time from which on it asks the next time.
#[derive(Debug)]
struct Patches {
    since: i64,
    walk: Walk,
    /// The oldest that were found in this round, by the time of the change.
    oldest: BTreeMap<(i64, String), PatchItem>,
    bytes: usize,
    /// The time up to which this round found all; none if it left nothing out.
    whole_until: Option<i64>,
    rounds: u32,
}

impl Welcome {
    pub(in crate::core) fn new(
        mode: Option<OfflineMode>,
        request: &SessionCommand,
        is_repeated: bool,
        newest: Timestamp,
    ) -> Self {
        let mut stages = VecDeque::new();
        match mode.unwrap_or(OfflineMode::Unread) {
            OfflineMode::Unread => stages.push_back(Stage::Unread(Unread::of(request, newest))),
            OfflineMode::Push if is_repeated => {}
            OfflineMode::Push => stages.push_back(Stage::Push(PushStage::of(request))),
        }
        stages.push_back(Stage::Broadcasts);
        let understands = request
            .config_bitmap
            .is_none_or(|bits| bits & UNDERSTANDS_PATCHES != 0);
        if let Some(since) = request.last_patch_time.filter(|at| *at > 0 && understands) {
            stages.push_back(Stage::Patches(Patches::since(since)));
        }
        Self {
            stages,
            told: false,
        }
    }

    /// Takes the welcome a part further.
    pub(in crate::core) async fn part<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        now: Now,
        caller: &Caller,
    ) -> Result<Part, Failure> {
        let mut notices = Vec::new();
        while let Some(stage) = self.stages.front_mut() {
            let is_over = match stage {
                Stage::Unread(unread) => unread.step(core, now, caller, &mut notices).await?,
                Stage::Push(push) => core.push_some(now, caller, push, &mut notices).await?,
                Stage::Broadcasts => {
                    notices.extend(core.missed_broadcasts(now, caller).await?);
                    true
                }
                Stage::Patches(patches) => patches.step(core, caller, &mut notices).await?,
            };
            if is_over {
                self.stages.pop_front();
            }
            if core.is_part_over() {
                break;
            }
        }
        if !self.told
            && let Some(first) = notices.first_mut()
        {
            self.told = true;
            *first = first.clone().apart();
        }
        let decision = Decision {
            notices,
            ..Decision::silent()
        };
        Ok(Part::of(decision, self.stages.is_empty()))
    }
}

impl Unread {
    fn of(request: &SessionCommand, newest: Timestamp) -> Self {
        // A time that a wrong clock told says nothing about missed messages.
        let possible = |at: &Timestamp| *at > Timestamp::ZERO && *at <= newest;
        let time = |at: Option<i64>| at.map(Timestamp::from_millis).filter(possible);
        let since = time(request.last_unread_notif_time);
        // A client that was never told a count has itself counted the messages while it was online.
        let seen = time(request.last_patch_time).filter(|_| request.r());
        Self {
            since,
            read_since: since.or(seen),
            walk: Some(Walk::default()),
            candidates: BTreeSet::new(),
            counted: Vec::new(),
        }
    }

    /// Looks at one conversation; says whether all is told.
    async fn step<S: Storage>(
        &mut self,
        core: &Core<S>,
        now: Now,
        caller: &Caller,
        notices: &mut Vec<Notice>,
    ) -> Result<bool, Failure> {
        let limits = core.settings_of(&caller.app).limits;
        let told_max = limits.unread_conversations;
        if let Some(walk) = &mut self.walk {
            let app = &caller.app;
            match walk.next(&core.storage, app, caller.client()).await? {
                None => self.walk = None,
                Some(id) => {
                    if let Some(at) = self.candidate(core, now, caller, &id).await? {
                        self.candidates.insert((Reverse(at), id));
                        if self.candidates.len() > told_max.saturating_mul(CANDIDATES_EACH) {
                            self.candidates.pop_last();
                        }
                    }
                }
            }
            return Ok(false);
        }
        if let Some((Reverse(at), id)) = self.candidates.pop_first() {
            let least = self.counted.get(told_max.wrapping_sub(1));
            if least.is_some_and(|least| least.at > at) {
                self.candidates.clear();
            } else if let Some(counted) = self.count(core, now, caller, id).await? {
                let place = self.counted.partition_point(|it| it.at >= counted.at);
                self.counted.insert(place, counted);
                self.counted.truncate(told_max);
            }
            return Ok(false);
        }
        self.tell(core, now, caller, notices).await?;
        Ok(true)
    }

    /// The time of the newest message of a conversation, if there may be news in it.
    async fn candidate<S: Storage>(
        &self,
        core: &Core<S>,
        now: Now,
        caller: &Caller,
        id: &ConversationId,
    ) -> Result<Option<Timestamp>, Failure> {
        let Some((_, member)) = core.own_part(now, caller, id).await? else {
            return Ok(None);
        };
        let newest = core.newest_time(&caller.app, id).await?;
        let newest = newest.filter(|at| *at > member.read_until);
        let was_read = self
            .read_since
            .is_some_and(|it| member.read_marked_at >= it);
        let is_news = newest.is_some_and(|at| self.since.is_none_or(|since| at >= since));
        let at = newest.unwrap_or_default().max(member.read_marked_at);
        Ok((is_news || was_read).then_some(at))
    }

    /// Counts a conversation, if there is news in it.
    async fn count<S: Storage>(
        &self,
        core: &Core<S>,
        now: Now,
        caller: &Caller,
        id: ConversationId,
    ) -> Result<Option<MissedCount>, Failure> {
        let Some((conversation, member)) = core.own_part(now, caller, &id).await? else {
            return Ok(None);
        };
        let limits = core.settings_of(&caller.app).limits;
        let app = &caller.app;
        let tuple = core
            .unread_of(app, &conversation, &member, limits.unread_count)
            .await?;
        let newest = tuple.timestamp.map(Timestamp::from_millis);
        let is_news = match self.since {
            None => tuple.unread > 0,
            Some(since) => newest.is_some_and(|at| at >= since),
        };
        // A count that another device cleared meanwhile is news too.
        let was_read = self
            .read_since
            .is_some_and(|it| member.read_marked_at >= it);
        let counted = MissedCount {
            at: newest.unwrap_or(member.read_marked_at),
            seen: (core.newest_time(app, &id).await?, member.read_until),
            id,
            tuple,
        };
        Ok((is_news || was_read).then_some(counted))
    }

    /// Tells the counts, as they are now.
    async fn tell<S: Storage>(
        &mut self,
        core: &Core<S>,
        now: Now,
        caller: &Caller,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Failure> {
        let mut convs = Vec::with_capacity(self.counted.len());
        for counted in std::mem::take(&mut self.counted) {
            let Some((_, member)) = core.own_part(now, caller, &counted.id).await? else {
                continue;
            };
            let newest = core.newest_time(&caller.app, &counted.id).await?;
            if (newest, member.read_until) == counted.seen {
                convs.push(counted.tuple);
            } else {
                let anew = self.count(core, now, caller, counted.id).await?;
                convs.extend(anew.map(|counted| counted.tuple));
            }
        }
        if !convs.is_empty() {
            let to = Audience::Session(caller.session.clone());
            notices.push(Notice::once(to, notification(now, convs)));
        }
        Ok(())
    }
}

impl Patches {
    const fn since(since: i64) -> Self {
        Self {
            since,
            walk: Walk {
                ids: VecDeque::new(),
                after: None,
                looked_at: 0,
                is_over: false,
            },
            oldest: BTreeMap::new(),
            bytes: 0,
            whole_until: None,
            rounds: 0,
        }
    }

    /// Looks at one conversation; says whether all is told.
    async fn step<S: Storage>(
        &mut self,
        core: &Core<S>,
        caller: &Caller,
        notices: &mut Vec<Notice>,
    ) -> Result<bool, Failure> {
        let app = &caller.app;
        let Some(id) = self.walk.next(&core.storage, app, caller.client()).await? else {
            return Ok(self.tell(caller, notices));
        };
        let (items, whole_until) = core
            .patches_of(app, caller.client(), &id, self.since)
            .await?;
        if let Some(until) = whole_until {
            // The next one may have the same time.
            self.is_whole_until(until.as_millis() - 1);
        }
        for item in items {
            self.add(item);
        }
        Ok(false)
    }

    fn is_whole_until(&mut self, until: i64) {
        self.whole_until = Some(self.whole_until.map_or(until, |known| known.min(until)));
    }

    /// Keeps a patch if it is one of the oldest.
    fn add(&mut self, item: PatchItem) {
        let key = (
            item.patch_timestamp.unwrap_or_default(),
            item.mid.clone().unwrap_or_default(),
        );
        self.bytes += bytes_of(&item);
        self.oldest.insert(key, item);
        let is_over = |all: &Self| {
            let over = all.bytes > patch::MISSED_BYTES_MAX && all.oldest.len() > 1;
            over || all.oldest.len() > patch::MISSED_MAX
        };
        while is_over(self) {
            let Some(((at, _), item)) = self.oldest.pop_last() else {
                return;
            };
            self.bytes -= bytes_of(&item);
            self.is_whole_until(at - 1);
        }
    }

    /// Tells what a round found, as far as it is whole, and begins the next if something was left out; says whether this
    /// was the last.
    fn tell(&mut self, caller: &Caller, notices: &mut Vec<Notice>) -> bool {
        let found = std::mem::take(&mut self.oldest).into_iter();
        // If all have one time, no round is whole: then all found ones are told.
        let whole_until = self.whole_until.filter(|until| *until > self.since);
        let is_whole = |at: i64| whole_until.is_none_or(|until| at <= until);
        let told = found.filter(|((at, _), _)| is_whole(*at));
        let told: Vec<_> = told.map(|(_, item)| item).collect();
        notices.extend(patch::missed(&caller.session, &told));
        let rounds = self.rounds + 1;
        match whole_until {
            Some(until) if rounds < patch::MISSED_ROUNDS_MAX => {
                *self = Self {
                    rounds,
                    ..Self::since(until)
                };
                false
            }
            _ => true,
        }
    }
}

fn bytes_of(item: &PatchItem) -> usize {
    let text = item.data.as_ref().map_or(0, Vec::len);
    text + item.binary_msg.as_ref().map_or(0, Vec::len)
}

impl<S: Storage> Core<S> {
    /// A live conversation that keeps unread messages, with the client's part in it.
    async fn own_part(
        &self,
        now: Now,
        caller: &Caller,
        id: &ConversationId,
    ) -> Result<Option<(Conversation, Member)>, Failure> {
        let (app, client) = (&caller.app, caller.client());
        let Some(member) = self.storage.member(app, id, client).await? else {
            return Ok(None);
        };
        let found = self.storage.conversation(app, id).await?;
        let live = found.filter(|found| found.expires_at.is_none_or(|ends| ends > now.wall));
        let keeps = live.filter(|found| found.kind != Kind::Room);
        Ok(keeps.map(|conversation| (conversation, member)))
    }

    /// The time of the newest message of a conversation.
    async fn newest_time(
        &self,
        app: &AppId,
        id: &ConversationId,
    ) -> Result<Option<Timestamp>, Failure> {
        let newest = Span::default();
        let last = self
            .storage
            .messages(app, id, &newest, Order::NewestFirst, 1)
            .await?;
        Ok(last.first().map(|last| last.sent_at))
    }

    /// Tells the messages of some more conversations that a client in push mode has not
    /// acknowledged: the newest few of each, oldest first. Says whether all are told.
    async fn push_some(
        &mut self,
        now: Now,
        caller: &Caller,
        push: &mut PushStage,
        notices: &mut Vec<Notice>,
    ) -> Result<bool, Failure> {
        let (app, client) = (&caller.app, caller.client());
        let Some(id) = push.walk.next(&self.storage, app, client).await? else {
            let to = || Audience::Session(caller.session.clone());
            let of_peers = push.of_peers.take().into_iter().flatten();
            notices.extend(of_peers.map(|(_, down)| Notice::once(to(), Command::direct(down))));
            return Ok(true);
        };
        let own = (app, client);
        let cid = Some(id.as_str());
        let (conversation, mut member) = match self.admit(now, own, Operation::PushAgain, cid).await
        {
            Ok(Admitted {
                conversation,
                member: Some(member),
                ..
            }) if conversation.kind != Kind::Room => (conversation, member),
            Ok(_) | Err(Failure::Refused(_)) => return Ok(false),
            Err(failure) => return Err(failure),
        };
        if !member.queued {
            // At the first login in push mode the queue begins with the unread messages.
            member.queued = true;
            member.received_until = member.received_until.max(member.read_until);
            let write = Write::PutMember(app.clone(), id.clone(), member.clone());
            self.storage.apply(vec![write]).await?;
        }
        let (span, most) = push.bounds(now, &self.settings_of(app), &member);
        let mut queue = self
            .storage
            .messages(app, &id, &span, Order::NewestFirst, most.saturating_add(1))
            .await?;
        queue.retain(|message| is_from_others(message, &member));
        let more = queue.len() > most;
        queue.truncate(most);
        for message in queue.iter().rev() {
            let mut down = direct(&conversation, message);
            down.offline = Some(true);
            down.has_more = more.then_some(true);
            match &mut push.of_peers {
                Some(kept) => kept.extend([(message.place(), down)]),
                None => {
                    let to = Audience::Session(caller.session.clone());
                    notices.push(Notice::once(to, Command::direct(down)));
                }
            }
        }
        push.trim(most);
        Ok(false)
    }
}

//! A view that is followed through random work: whatever happens, it shows a part of the truth without a hole that
//! it does not tell, and what a collector has by the edits is what the view shows.

use std::collections::BTreeSet;

use super::*;
use crate::model::{
    Details, Mentions, Message, MessageContent, MessageId, MessageKey, MessageRef, MessageState,
};
use crate::splitmix;
use crate::store::{CommitClass, HistoryEnd, HistoryStart, MemoryDisk, Overlay, Store, Writer};
use crate::views::{TimelineItemKind, TimelineState};

/// A service with one conversation, a device that has parts of it, and a screen.
struct World {
    dice: u64,
    store: Store,
    writer: Writer,
    id: ConversationId,
    number: ConversationNumber,
    /// The messages that the service has, oldest first.
    truth: Vec<Message>,
    is_online: bool,
    view: TimelineView,
    state: TimelineState,
}

fn position_of(message: &Message) -> Position {
    Position {
        sent_at: message.sent_at,
        id: message.id.clone().unwrap(),
    }
}

impl World {
    fn seeded(seed: u64) -> Self {
        let me = ClientId::new("ann").unwrap();
        let opened = Store::in_memory(&MemoryDisk::new(seed), me).unwrap();
        let (store, mut writer) = (opened.store, opened.writer);
        let id = ConversationId::new("5f0c1d2e3a4b5c6d7e8f9a0b").unwrap();
        let mut overlay = Overlay::new(&store);
        let row = ConversationRow::unknown(id.clone());
        let number = overlay.create_conversation(row).unwrap();
        writer
            .commit(overlay.into_batch(), CommitClass::Cache)
            .unwrap();
        let options = TimelineOptions {
            page: 4 + u32::try_from(seed % 5).unwrap(),
            window_max: 20,
            hide_recalled: seed.is_multiple_of(2),
            ..TimelineOptions::default()
        };
        Self {
            dice: seed,
            store,
            writer,
            id,
            number,
            truth: Vec::new(),
            is_online: true,
            view: TimelineView::new(options),
            state: TimelineState::default(),
        }
    }

    fn below(&mut self, most: usize) -> usize {
        let number = splitmix::next(&mut self.dice) >> 16;
        usize::try_from(number).unwrap() % most.max(1)
    }

    fn write(&mut self, work: impl FnOnce(&mut Overlay<'_>, ConversationNumber)) {
        let mut overlay = Overlay::new(&self.store);
        work(&mut overlay, self.number);
        let batch = overlay.into_batch();
        self.writer.commit(batch, CommitClass::Cache).unwrap();
    }

    /// The device keeps messages of the service, and knows that nothing lies between the two positions.
    fn keep(&mut self, page: &[Message], between: (Position, Position)) -> u32 {
        let mut added = 0;
        self.write(|overlay, number| {
            for message in page {
                let put = overlay.put_message(number, message).unwrap();
                added += u32::from(put == crate::store::Put::Added);
            }
            let (one, other) = between;
            let hold = |row: &mut ConversationRow| row.history.hold(one, other);
            overlay.update_conversation(number, hold).unwrap();
        });
        added
    }

    fn say(&mut self) {
        let index = self.truth.len();
        let newest = self.truth.last().map(position_of);
        // Some have the same time.
        let time = 1_000 + i64::try_from(index / 2).unwrap();
        let message = Message {
            conversation: self.id.clone(),
            id: Some(MessageId::new(format!("{index:022}")).unwrap()),
            local_id: None,
            sender: ClientId::new(if self.below(4) == 0 { "ann" } else { "ben" }).unwrap(),
            sent_at: Timestamp::from_millis(time),
            content: MessageContent::text(format!("line {index}")),
            mentions: Mentions::default(),
            state: MessageState::Sent,
            edited_at: None,
            transient: false,
            change: None,
        };
        self.truth.push(message.clone());
        if self.is_online {
            let at = position_of(&message);
            let from = newest.unwrap_or_else(|| at.clone());
            self.keep(&[message], (from, at));
            self.knows_the_start_if_it_is_held();
        }
    }

    /// Going online brings the newest few; being offline lets the newest be missing.
    fn go(&mut self, is_online: bool) {
        self.is_online = is_online;
        let few = self.below(6) + 1;
        let page: Vec<_> = self.truth.iter().rev().take(few).rev().cloned().collect();
        if let (true, Some(first), Some(last)) = (is_online, page.first(), page.last()) {
            let between = (position_of(first), position_of(last));
            self.keep(&page, between);
        }
        let end = if is_online {
            HistoryEnd::Current
        } else {
            HistoryEnd::Behind
        };
        self.write(|overlay, number| {
            let set = |row: &mut ConversationRow| row.history.set_end(end);
            overlay.update_conversation(number, set).unwrap();
        });
        self.knows_the_start_if_it_is_held();
    }

    fn knows_the_start_if_it_is_held(&mut self) {
        let Some(first) = self.truth.first().map(position_of) else {
            return;
        };
        self.write(|overlay, number| {
            let known = |row: &mut ConversationRow| {
                if row.history.span_of(&first).is_some() {
                    row.history.set_start(HistoryStart::Reached);
                }
            };
            overlay.update_conversation(number, known).unwrap();
        });
    }

    /// A page back in time, its start included.
    fn fetch(&mut self, before: Option<Position>, limit: u32) -> u32 {
        let older = self.truth.iter().rev();
        let wanted = older.filter(|it| before.as_ref().is_none_or(|at| position_of(it) <= *at));
        let page: Vec<_> = wanted.take(limit as usize + 1).cloned().collect();
        let Some(oldest) = page.last().map(position_of) else {
            return 0;
        };
        let until = before.unwrap_or_else(|| position_of(&page[0]));
        let added = self.keep(&page, (oldest, until));
        self.knows_the_start_if_it_is_held();
        added
    }

    /// A page forward in time, its start included.
    fn fetch_newer(&mut self, after: Position, limit: u32) -> u32 {
        let newer = self.truth.iter().filter(|it| position_of(it) >= after);
        let page: Vec<_> = newer.take(limit as usize + 1).cloned().collect();
        let Some(newest) = page.last().map(position_of) else {
            return 0;
        };
        self.keep(&page, (after, newest))
    }

    /// Somebody edits or recalls a message; the device hears of it where it holds the message.
    fn change(&mut self) {
        let at = self.below(self.truth.len());
        let content = match self.below(2) {
            0 => MessageContent::Recalled {
                caption: None,
                details: Details::default(),
            },
            _ => MessageContent::text(format!("edited {at}")),
        };
        let Some(message) = self.truth.get_mut(at) else {
            return;
        };
        if message.content.is_recalled() {
            return;
        }
        message.content = content;
        let edited = message.edited_at.map_or(5_000, |time| time.as_millis() + 1);
        message.edited_at = Some(Timestamp::from_millis(edited));
        let message = message.clone();
        let at = position_of(&message);
        let snapshot = self.store.snapshot();
        let is_held = snapshot.message(self.number, &at).unwrap().is_some();
        drop(snapshot);
        if is_held {
            self.keep(&[message], (at.clone(), at));
        }
    }

    fn reach(&self) -> Reach {
        if self.is_online {
            Reach::Online
        } else {
            Reach::Offline
        }
    }

    fn load(&mut self, side: Side) {
        for _ in 0..200 {
            let reach = self.reach();
            let snapshot = self.store.snapshot();
            let next = self.view.advance(side, &snapshot, &self.id, reach).unwrap();
            drop(snapshot);
            let added = match next {
                Next::Done => return,
                Next::Fetch { before, limit } => self.fetch(before, limit),
                Next::FetchNewer { after, limit } => self.fetch_newer(after, limit),
                Next::FetchConversation => panic!("the conversation is known"),
            };
            self.view.answered(side, Ok(added));
        }
        panic!("a load of {side:?} does not end");
    }

    /// Does what the view wants, as its driver does.
    fn serve(&mut self) {
        for _ in 0..200 {
            let snapshot = self.store.snapshot();
            self.view
                .refresh(&snapshot, &self.id, self.reach())
                .unwrap();
            drop(snapshot);
            match self.view.wish() {
                Some(Wish::Load(side)) => self.load(side),
                Some(Wish::MarkRead { until }) => self.view.marked_read(until),
                None => return,
            }
        }
        panic!("the view is never content");
    }

    fn start(&mut self) -> TimelineStart {
        let at = self.below(self.truth.len());
        if self.truth.is_empty() {
            return TimelineStart::Newest;
        }
        let kind = self.below(4);
        let message = &self.truth[at];
        match kind {
            0 => TimelineStart::Newest,
            1 => TimelineStart::Time {
                at: message.sent_at,
            },
            2 => TimelineStart::Message {
                message: MessageKey::of(message).unwrap(),
            },
            _ => TimelineStart::Reference {
                reference: MessageRef {
                    conversation: self.id.clone(),
                    sent_at: message.sent_at,
                    id: message.id.clone().unwrap(),
                },
            },
        }
    }

    fn step(&mut self) {
        match self.below(12) {
            0..4 => self.say(),
            4 => self.change(),
            5 => {
                let is_online = !self.is_online;
                self.go(is_online);
            }
            6 => {
                self.view.begin(Side::Older, 4);
            }
            7 => {
                self.view.begin(Side::Newer, 4);
            }
            8 => {
                let gaps = self.state.items.iter().map(|item| item.key.clone());
                let gap = gaps.filter_map(|key| self.view.gap_of(&key)).next();
                if let Some(gap) = gap {
                    self.view.begin(gap, 4);
                }
            }
            9..11 => {
                let (one, other) = (self.below(self.state.items.len()), self.below(4));
                let keys = (self.state.items.get(one), self.state.items.get(one + other));
                if let (Some(first), Some(last)) = keys {
                    self.view.see(&first.key, &last.key);
                }
            }
            _ => {
                let start = self.start();
                self.view.jump(start);
            }
        }
        self.serve();
        // A collector that sometimes sleeps.
        if self.below(3) > 0 {
            self.look();
        }
    }

    fn look(&mut self) {
        if let Some(update) = self.view.update(self.state.version) {
            self.state.apply(update);
        }
        let shown: Vec<_> = self
            .view
            .windows
            .newest()
            .iter()
            .map(|it| (**it).clone())
            .collect();
        assert_eq!(
            self.state.items, shown,
            "the edits lead to what the view shows"
        );
        self.check();
    }

    /// No two items have a key, messages stand in order and are as the store has them, and what is missing between
    /// two neighbours is told by a gap.
    fn check(&self) {
        let items = &self.state.items;
        let keys: BTreeSet<_> = items.iter().map(|item| format!("{:?}", item.key)).collect();
        assert_eq!(keys.len(), items.len(), "{items:?}");
        assert!(items.len() <= 20 + 2, "{} items", items.len());
        let hides = self.view.options.hide_recalled;
        let is_visible = |it: &&Message| !(hides && it.content.is_recalled());
        let mut before: Option<Position> = None;
        let mut told = true;
        for item in items {
            let TimelineItemKind::Message { message } = &item.kind else {
                told |= matches!(item.kind, TimelineItemKind::Gap { .. });
                continue;
            };
            let reference = message.reference.as_ref().unwrap();
            let at = Position {
                sent_at: reference.sent_at,
                id: reference.id.clone(),
            };
            let held = self.store.snapshot().message(self.number, &at).unwrap();
            let held = held.expect("what is shown is held");
            assert_eq!(
                (&message.content, message.edited_at),
                (&held.content, held.edited_at)
            );
            if let Some(before) = &before {
                assert!(before < &at, "in order");
                let mut between = self.truth.iter().filter(is_visible);
                let hole = between.find(|it| *before < position_of(it) && position_of(it) < at);
                assert!(told || hole.is_none(), "a hole before {at:?}: {hole:?}");
            }
            (before, told) = (Some(at), false);
        }
        self.check_ends(before);
    }

    /// An end is said to be one only where the service has nothing beyond.
    fn check_ends(&self, newest: Option<Position>) {
        let hides = self.view.options.hide_recalled;
        let visible: Vec<_> = self
            .truth
            .iter()
            .filter(|it| !(hides && it.content.is_recalled()))
            .map(position_of)
            .collect();
        if self.is_online && self.state.newer == TimelineEdge::End && self.is_complete() {
            assert_eq!(newest.as_ref(), visible.last(), "{:?}", self.state);
        }
        let first = self.state.items.first().and_then(|it| it.message());
        let first = first.and_then(|it| it.reference.clone());
        if self.state.older == TimelineEdge::End && first.is_some() {
            let oldest = visible.first();
            assert_eq!(
                first.map(|it| it.id),
                oldest.map(|it| it.id.clone()),
                "{:?}",
                self.state
            );
        }
    }

    /// True if the window shows messages at all: not while it looks for its start, nor where it has none.
    fn is_complete(&self) -> bool {
        !matches!(self.view.phase, Phase::Search { .. }) && messages(&self.state.items) > 0
    }
}

fn messages(items: &[TimelineItem]) -> usize {
    items.iter().filter(|item| item.message().is_some()).count()
}

#[test]
fn a_followed_view_shows_a_part_of_the_truth_without_an_untold_hole() {
    for seed in 0..50 {
        let mut world = World::seeded(seed);
        for _ in 0..120 {
            world.step();
        }
        world.go(true);
        world.serve();
        world.look();
    }
}

#[test]
fn at_rest_a_followed_view_at_the_live_end_equals_a_fresh_one() {
    for seed in 1_000..1_050 {
        let mut world = World::seeded(seed);
        for _ in 0..80 {
            world.step();
        }
        world.go(true);
        world.view.jump(TimelineStart::Newest);
        for _ in 0..10 {
            world.say();
            world.change();
            world.serve();
            world.look();
        }
        let mut fresh = TimelineView::new(world.view.options.clone());
        let snapshot = world.store.snapshot();
        fresh.refresh(&snapshot, &world.id, Reach::Online).unwrap();
        drop(snapshot);
        let mut anew = TimelineState::default();
        anew.apply(fresh.update(Version::NONE).unwrap());
        let both = messages(&anew.items).min(messages(&world.state.items));
        let newest = |state: &TimelineState| -> Vec<_> {
            let all = state
                .items
                .iter()
                .rev()
                .filter(|item| item.message().is_some());
            all.take(both).cloned().collect()
        };
        assert_eq!(newest(&world.state), newest(&anew), "seed {seed}");
    }
}

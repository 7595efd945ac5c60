//! Receipts of both kinds: whom they reach, what they say, and that a message never goes back to an
//! earlier state, whatever else happens to it.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::world::{Device, World};
use crate::model::{
    ConversationId, Message, MessageContent, MessageState, NewMessage, SendOptions, Timestamp,
};
use crate::store::TimelineItem;
use crate::sync::request::{FetchReceipts, RequestError, SendMessage};

fn messages(world: &World, device: Device, room: &ConversationId) -> Vec<Message> {
    let items = world.items(device, room).into_iter();
    items.filter_map(TimelineItem::into_message).collect()
}

fn say(
    world: &mut World,
    device: Device,
    room: &ConversationId,
    text: &str,
    receipt: Option<bool>,
) -> Result<(), RequestError> {
    let options = SendOptions {
        receipt,
        ..SendOptions::default()
    };
    let message = NewMessage {
        options,
        ..NewMessage::new(MessageContent::Plain { text: text.into() })
    };
    let conversation = room.clone();
    let call = SendMessage {
        conversation,
        message,
    };
    world.ask(device, call).map(|_| ())
}

/// S184, S191: a receipt is asked for as the app says, and in conversations of two where it says nothing.
#[test]
fn a_receipt_is_asked_for_as_the_app_says() {
    let mut world = World::seeded(700);
    let [ann] = world.devices(["ann"]);
    for (members, asked) in [(&["ben"][..], true), (&["ben", "cat"], false)] {
        let room = world.create(ann, members);
        world.settle();
        let id = world.service_id(ann, &room);
        for receipt in [None, Some(true), Some(false)] {
            say(&mut world, ann, &room, "hello", receipt).unwrap();
            world.settle();
            let sent = world.service.conversations[id.as_str()].messages.last();
            assert_eq!(
                sent.unwrap().receipt,
                receipt.unwrap_or(asked),
                "{members:?}"
            );
        }
    }
    let room = world.create(ann, &["ben"]);
    let unkept = [(true, false), (false, true)];
    for (transient, will) in unkept {
        let options = SendOptions {
            transient,
            will,
            receipt: Some(true),
            ..SendOptions::default()
        };
        let message = NewMessage {
            options,
            ..NewMessage::text("gone")
        };
        let conversation = room.clone();
        let call = SendMessage {
            conversation,
            message,
        };
        let refused = world.ask(ann, call);
        assert!(matches!(refused, Err(RequestError::InvalidArgument { .. })));
    }
}

/// S194, S195, S197: a receipt has the time of delivery or reading, on each device of the sender; older messages
/// are covered and keep their own time.
#[test]
fn a_receipt_tells_its_time_to_every_device_of_the_sender() {
    let mut world = World::seeded(701);
    let phone = world.device("ann", Some("phone"));
    let laptop = world.device("ann", Some("laptop"));
    for device in [phone, laptop] {
        world.connect(device);
    }
    let room = world.create(phone, &["ben"]);
    world.settle();
    let id = world.service_id(phone, &room);
    for text in ["one", "two"] {
        world.say(phone, &room, text);
    }
    world.settle();
    let sent = messages(&world, phone, &id);
    let newest = sent.last().and_then(|it| it.id.clone()).unwrap();
    let (older, newer) = (sent[0].sent_at, sent[1].sent_at);
    world.pass(Duration::from_secs(60));
    let mut told = Vec::new();
    for read in [false, true] {
        world.pass(Duration::from_secs(60));
        told.push(Timestamp::from_millis(world.wall()));
        world.tell_receipt_of(&id, "ann", "ben", newest.as_str(), read);
        world.moment();
        let at = *told.last().unwrap();
        assert!(at > newer);
        let expected = if read {
            [MessageState::Read { at: older }, MessageState::Read { at }]
        } else {
            let at_sending = MessageState::Delivered { at: older };
            [at_sending, MessageState::Delivered { at }]
        };
        for device in [phone, laptop] {
            let states = messages(&world, device, &id).into_iter().map(|it| it.state);
            assert_eq!(states.collect::<Vec<_>>(), expected, "{device:?}");
        }
    }
}

/// One thing that may move the state of a message, or bring an answer that is older than it.
#[derive(Clone, Debug)]
enum Action {
    Say(usize),
    Edit(usize),
    Recall(usize),
    /// The service tells of any message again: read, or only delivered.
    Receipt(usize, bool),
    MarkRead,
    AskForMarks(usize),
    /// History is read again from its newest end.
    Fetch(usize),
    DeliverAgain(usize),
    Cut(usize),
    HoldBack(usize),
    Pass(u64),
}

fn action() -> impl Strategy<Value = Action> {
    let own = 0..2_usize;
    prop_oneof![
        4 => own.clone().prop_map(Action::Say),
        2 => own.clone().prop_map(Action::Edit),
        1 => own.clone().prop_map(Action::Recall),
        4 => (0..9_usize, any::<bool>()).prop_map(|(which, read)| Action::Receipt(which, read)),
        1 => Just(Action::MarkRead),
        2 => own.clone().prop_map(Action::AskForMarks),
        3 => own.clone().prop_map(Action::Fetch),
        2 => (0..9_usize).prop_map(Action::DeliverAgain),
        1 => own.clone().prop_map(Action::Cut),
        2 => own.prop_map(Action::HoldBack),
        6 => (1..5000_u64).prop_map(Action::Pass),
    ]
}

/// Ann on two devices, and ben, in a conversation of two.
struct Play {
    world: World,
    own: [Device; 2],
    ben: Device,
    room: ConversationId,
    spoken: usize,
    /// How far each message was shown, by device and id.
    reached: BTreeMap<(usize, String), u8>,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut world = World::seeded(seed);
        let own = ["phone", "laptop"].map(|tag| world.device("ann", Some(tag)));
        let ben = world.device("ben", None);
        for device in [own[0], own[1], ben] {
            world.connect(device);
        }
        let room = world.create(own[0], &["ben"]);
        world.settle();
        let room = world.service_id(own[0], &room);
        Self {
            world,
            own,
            ben,
            room,
            spoken: 0,
            reached: BTreeMap::new(),
        }
    }

    /// A message of the service, picked by a number.
    fn pick(&self, which: usize) -> Option<(usize, String, String)> {
        let held = &self.world.service.conversations[self.room.as_str()].messages;
        let index = which % held.len().max(1);
        let message = held.get(index)?;
        Some((index, message.id.clone(), message.text.clone()))
    }

    fn act(&mut self, action: &Action) {
        let (world, room) = (&mut self.world, self.room.clone());
        match *action {
            Action::Say(who) => {
                self.spoken += 1;
                let text = format!("words {}", self.spoken);
                world.say(self.own[who], &room, &text);
            }
            Action::Edit(who) => {
                let device = self.own[who];
                let sent = messages(world, device, &room);
                let mut sent = sent.iter().rev().filter(|it| !it.content.is_recalled());
                let local = sent.find_map(|it| it.local_id.clone());
                if let Some(local) = local {
                    self.spoken += 1;
                    let text = format!("words {}", self.spoken);
                    world.rewrite(device, &room, &local, &text).unwrap();
                }
            }
            Action::Recall(who) => {
                let device = self.own[who];
                let sent = messages(world, device, &room);
                let mut sent = sent.iter().rev().filter(|it| !it.content.is_recalled());
                let local = sent.find_map(|it| it.local_id.clone());
                if let Some(local) = local {
                    world.take_back(device, &room, &local).unwrap();
                }
            }
            Action::Receipt(which, read) => {
                if let Some((_, id, _)) = self.pick(which) {
                    let (to, by) = ("ann", "ben");
                    self.world.tell_receipt_of(&room, to, by, &id, read);
                }
            }
            Action::MarkRead => world.mark_read(self.ben, &room),
            Action::AskForMarks(who) => {
                let call = FetchReceipts { conversation: room };
                world.call(self.own[who], call);
            }
            Action::Fetch(who) => {
                let call = world.history_request(&room, 20);
                world.call(self.own[who], call);
            }
            Action::DeliverAgain(which) => {
                if let Some((index, _, text)) = self.pick(which) {
                    self.world.deliver_again(&room, index, &text);
                }
            }
            Action::Cut(who) => world.cut(self.own[who]),
            Action::HoldBack(who) => {
                // Answers of before come after what is told meanwhile.
                let held = world.hold_back_frames(self.own[who]);
                world.mark_read(self.ben, &room);
                world.moment();
                world.release_frames(held);
            }
            Action::Pass(millis) => world.pass(Duration::from_millis(millis)),
        }
    }

    /// No message is shown as less than it was.
    fn check(&mut self) -> Result<(), TestCaseError> {
        for (who, device) in self.own.into_iter().enumerate() {
            for message in messages(&self.world, device, &self.room) {
                let Some(id) = message.id else { continue };
                let rank = match message.state {
                    MessageState::Read { .. } => 3,
                    MessageState::Delivered { .. } => 2,
                    MessageState::Sent => 1,
                    MessageState::Pending | MessageState::Failed { .. } => 0,
                };
                let known = self.reached.entry((who, id.as_str().to_owned()));
                let known = known.or_default();
                prop_assert!(*known <= rank, "{id} went from {known} to {rank}");
                *known = rank;
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// S175, S199, S225–S228: sent, delivered, read: receipts of both kinds in any order and again, marks that are asked for,
    /// history and messages that come again with what was known earlier, edits, recalls, cuts.
    #[test]
    fn a_message_never_goes_back_and_three_devices_converge(
        seed in any::<u64>(),
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut play = Play::new(seed);
        for action in &actions {
            play.act(action);
            play.check()?;
        }
        play.world.settle();
        play.check()?;
        // All three devices end up with what the service has.
        let truth = play.world.truth(&play.room);
        for device in [play.own[0], play.own[1], play.ben] {
            prop_assert_eq!(play.world.timeline(device, &play.room), truth.clone());
            prop_assert!(play.world.outbox(device).is_empty());
        }
    }
}

//! The promises, as checks: at every step where that is possible, and when the world is at rest.

use std::collections::BTreeMap;

use sampan::model::{
    ClientId, ConversationInfo, ConversationState, MessageContent, OutboxState, SessionState,
    Timestamp,
};
use sampan::store::{ConversationNumber, Intent, Position, Snapshot, StoreError, TimelineItem};
use sampan::wire::{Payload, content};
use sampan_service::storage::{Body, Message};

use crate::checks::ledger::{Change, Fate, Promise};
use crate::checks::mirror::whole_timeline;
use crate::devices::actions::Action;
use crate::devices::device::Device;
use crate::service::{Broken, Held, Truth};
use crate::shape::{At, Offline};
use crate::world::World;
use crate::world::unsent::{failed_with_reason, kept_back, removed_is_out};

/// The number of commits between two comparisons of an observer with its store.
const COMPARE_EVERY: u64 = 64;

/// The most bytes of a device's disk, far above the need of any run.
const BYTES_MAX: usize = 16 << 20;

impl World {
    /// After a commit of a device, now and then.
    pub(super) fn check_now_and_then(&mut self, index: usize) {
        if self.record.counts.commits.is_multiple_of(COMPARE_EVERY) {
            told_equals_held(self, index);
            shown_equals_held(self, index);
        }
    }

    /// Checks that after a power cut a device still has the messages that it acknowledged to the service.
    pub(super) fn check_acknowledged(&mut self, index: usize) {
        let device = self.devices.get_mut(index);
        for lost in device
            .map(Device::lost_after_acknowledging)
            .unwrap_or_default()
        {
            self.violate("acknowledged", format!("device {index}: {lost}"));
        }
    }

    /// Everything that must hold when the world is at rest.
    pub(super) fn check_everything(&mut self) -> Result<(), Broken> {
        let world = self;
        let truth = world.server.truth()?;
        world.record.counts.messages = 0;
        for held in truth.conversations.values() {
            let many = u64::try_from(held.messages.len()).unwrap_or(u64::MAX);
            world.record.counts.messages += many;
        }
        promises_kept(world, &truth);
        kept_back(world, &truth);
        changes_kept(world, &truth);
        attributes_kept(world, &truth);
        nothing_twice(world, &truth);
        order_kept(world, &truth);
        for index in 0..world.devices.len() {
            told_equals_held(world, index);
            shown_equals_held(world, index);
            outbox_settled(world, index);
            removed_is_out(world, index);
            failed_with_reason(world, index);
            disk_is_small(world, index);
            if let Err(error) = device_equals_truth(world, index, &truth) {
                world.violate("readable", format!("device {index}: {error}"));
            }
        }
        Ok(())
    }
}

fn told_equals_held(world: &mut World, index: usize) {
    let device = world.devices.get(index);
    let difference = device.and_then(|device| device.mirror.difference(device.store()?));
    if let Some(difference) = difference {
        world.violate("told", format!("device {index}: {difference}"));
    }
}

/// Checks that live views, by the edits that their collectors were given, equal fresh ones.
fn shown_equals_held(world: &mut World, index: usize) {
    let device = world.devices.get_mut(index);
    if let Some(difference) = device.and_then(Device::shown_wrong) {
        world.violate("shown", format!("device {index}: {difference}"));
    }
}

/// Checks that the bytes of a device on its disk stay within their bound.
fn disk_is_small(world: &mut World, index: usize) {
    let bytes = world.devices.get(index).map_or(0, Device::bytes_on_disk);
    world.record.counts.most_bytes = world.record.counts.most_bytes.max(bytes);
    let engine = world.engine_of(index);
    world.bounded(engine, "bytes on the disk of a device", bytes, BYTES_MAX);
}

/// The messages with a promise's token, in the truth.
pub(super) fn with_token<'a>(truth: &'a Truth, promise: &Promise) -> Vec<&'a Message> {
    let messages = truth.conversations.values().flat_map(|it| &it.messages);
    messages
        .filter(|message| message.token.as_deref() == Some(promise.local_id.as_str()))
        .collect()
}

/// Nothing that was promised is lost: it is at the service, or it failed and the app can see that.
fn promises_kept(world: &mut World, truth: &Truth) {
    let mut lost = Vec::new();
    for promise in world
        .record
        .ledger
        .messages
        .iter()
        .filter(|it| it.fate == Fate::Due)
    {
        let arrived = with_token(truth, promise).len();
        let state = outbox_state(world, promise.device, promise);
        let device = world.devices.get(promise.device);
        let left = device.is_some_and(|device| device.inbox.holds(&promise.local_id));
        // A message that was left for a client may stay in the inbox while its outbox is full, and only then.
        if arrived == 0 && state.is_none() && !left {
            lost.push(format!("{} of device {}", promise.words, promise.device));
        }
    }
    for made in world
        .record
        .ledger
        .conversations
        .iter()
        .filter(|it| it.fate == Fate::Due)
    {
        let Some(name) = &made.name else { continue };
        let named = named(truth, name);
        let store = world.devices.get(made.device).and_then(Device::store);
        let waits = store.is_some_and(|store| {
            let outbox = store.snapshot().outbox();
            outbox.iter().any(|entry| entry.id == made.entry)
        });
        if named == 0 && !waits {
            lost.push(format!("{name} of device {}", made.device));
        }
    }
    for what in lost {
        world.violate("lost", what);
    }
}

/// No edit and no recall that was promised is lost: the message at the service no longer says the words that
/// were sent, or the device shows that the change failed.
fn changes_kept(world: &mut World, truth: &Truth) {
    let mut lost = Vec::new();
    let ledger = &world.record.ledger;
    for changed in ledger.changes.iter().filter(|it| it.fate == Fate::Due) {
        let mut sent = ledger.messages.iter();
        let Some(sent) = sent.find(|it| it.local_id == changed.message) else {
            continue;
        };
        let store = world.devices.get(changed.device).and_then(Device::store);
        let waits = store.is_some_and(|store| {
            let outbox = store.snapshot().outbox();
            let mut entries = outbox.iter();
            entries.any(|it| {
                let ids = [it.changed_message(), it.local_id()];
                ids.contains(&Some(&changed.message))
            })
        });
        if waits {
            continue;
        }
        for message in with_token(truth, sent) {
            let unchanged = content_of(message).words() == Some(&sent.words);
            if unchanged || (changed.change == Change::Recall && !message.recalled) {
                let (change, words) = (changed.change, &sent.words);
                lost.push(format!(
                    "{change:?} of {words} of device {}",
                    changed.device
                ));
            }
        }
    }
    for what in lost {
        world.violate("lost change", what);
    }
}

/// The attribute that a device set last is at the service, or the device shows that it failed.
///
/// Where a conversation made offline merges into another, a change of the first may be sent after a later
/// change of the second was acknowledged: nothing told that both were the same.
fn attributes_kept(world: &mut World, truth: &Truth) {
    let mut last = BTreeMap::new();
    let mut last_by_name = BTreeMap::new();
    for set in &world.record.ledger.attributes {
        let store = world.devices.get(set.device).and_then(Device::store);
        let Some(store) = store else { continue };
        let snapshot = store.snapshot();
        let known = snapshot.conversation_by_id(&set.conversation);
        let Ok(Some((number, row))) = known else {
            continue;
        };
        let outbox = snapshot.outbox_of(number);
        let waits = outbox
            .iter()
            .any(|it| matches!(it.intent, Intent::Details(_)));
        last_by_name.insert((set.device, &set.conversation), set.value);
        last.insert((set.device, row.id), (set, waits));
    }
    let mut lost = Vec::new();
    for ((device, conversation), (set, waits)) in last {
        let held = truth.conversations.get(&conversation);
        let (Some(held), Fate::Due, false) = (held, set.fate, waits) else {
            continue;
        };
        let attributes = held.conversation.columns.get("attr");
        let found = attributes.and_then(|all| all.get(format!("d{device}")));
        let found = found.and_then(serde_json::Value::as_u64);
        let merged = set.unnamed.iter().any(|other| {
            let of_other = last_by_name.get(&(device, other)).copied();
            of_other.is_some() && of_other == found
        });
        if found != Some(set.value) && !merged {
            let value = set.value;
            lost.push(format!(
                "attribute d{device} of {conversation} is {found:?} and was set to {value}"
            ));
        }
    }
    for what in lost {
        world.violate("lost change", what);
    }
}

fn named(truth: &Truth, name: &str) -> usize {
    let conversations = truth.conversations.values();
    conversations
        .filter(|held| {
            let column = held.conversation.columns.get("name");
            column.and_then(|column| column.as_str()) == Some(name)
        })
        .count()
}

fn outbox_state(world: &World, device: usize, promise: &Promise) -> Option<OutboxState> {
    let entries = world.devices.get(device)?.store()?.snapshot().outbox();
    let found = entries
        .iter()
        .find(|entry| entry.local_id() == Some(&promise.local_id));
    found.map(|entry| entry.state.clone())
}

/// No message or conversation that was asked for once is there twice, at the service or in a timeline.
fn nothing_twice(world: &mut World, truth: &Truth) {
    let mut words: BTreeMap<String, u32> = BTreeMap::new();
    let messages = truth.conversations.values().flat_map(|it| &it.messages);
    for text in messages.filter_map(|it| Some(content_of(it).words()?.to_owned())) {
        *words.entry(text).or_default() += 1;
    }
    // The app accepted it where a message was ambiguous, because the service had forgotten its token.
    if world.plan.shape.forgets_tokens() {
        let promises = world.record.ledger.messages.iter();
        for promise in promises.filter(|it| it.retried) {
            words.remove(&promise.words);
        }
    }
    let twice: Vec<_> = words.into_iter().filter(|(_, many)| *many > 1).collect();
    for (text, many) in twice {
        world.violate("twice", format!("{text} is there {many} times"));
    }
    let made: Vec<_> = world
        .record
        .ledger
        .conversations
        .iter()
        .filter_map(|it| it.name.clone())
        .collect();
    for name in made {
        let many = named(truth, &name);
        if many > 1 {
            world.violate(
                "twice",
                format!("conversation {name} is there {many} times"),
            );
        }
    }
}

/// The messages of a device in a conversation arrived in the order in which they were promised. Two
/// conversations of a device may turn out to be one: between them there was no order.
fn order_kept(world: &mut World, truth: &Truth) {
    let mut last: BTreeMap<(usize, String), (Position, String)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut asked: Vec<_> = world.record.ledger.messages.iter().collect();
    asked.sort_by_key(|promise| promise.number);
    for promise in asked.into_iter().filter(|it| !it.loose) {
        for held in truth.conversations.values() {
            let token = Some(promise.local_id.as_str());
            let Some(message) = held.messages.iter().find(|it| it.token.as_deref() == token) else {
                continue;
            };
            let position = Position {
                sent_at: message.sent_at,
                id: message.id.clone(),
            };
            // A failed entry that was not retried may have arrived at any time before it failed.
            if outbox_state(world, promise.device, promise).is_some() {
                continue;
            }
            let key = (promise.device, promise.conversation.to_string());
            if let Some((earlier, words)) = last.get(&key)
                && *earlier > position
            {
                wrong.push(format!("{words} was sent before {}", promise.words));
            }
            last.insert(key, (position, promise.words.clone()));
        }
    }
    for what in wrong {
        world.violate("order", what);
    }
}

/// No entry is stuck while its cause is gone.
fn outbox_settled(world: &mut World, index: usize) {
    if !world.is_online_device(index) {
        return;
    }
    let session = world.session_of(index);
    if session != SessionState::Open {
        world.violate("online", format!("device {index} is {session:?}"));
        return;
    }
    let Some(store) = world.devices.get(index).and_then(Device::store) else {
        return;
    };
    let entries = store.snapshot().outbox();
    let inbox = world.devices.get(index).map(|device| device.inbox.all());
    let untaken = inbox.into_iter().flatten();
    let untaken = untaken.map(|work| format!("device {index}: {} in the inbox", work.token));
    let stuck: Vec<_> = entries
        .iter()
        .filter(|entry| !matches!(entry.state, OutboxState::Failed { .. }))
        .filter(|entry| !entries.iter().any(|other| waits_for(entry, other)))
        .map(|entry| format!("device {index}: {:?} {:?}", entry.id, entry.state))
        .chain(untaken)
        .collect();
    for what in stuck {
        world.violate("stuck", what);
    }
}

/// True if an entry waits for a creation that failed, or for the message that it changes and that failed: the
/// app has to decide about that entry first.
fn waits_for(entry: &sampan::store::Entry, other: &sampan::store::Entry) -> bool {
    let failed = matches!(other.state, OutboxState::Failed { .. });
    let creates = matches!(other.intent, Intent::Create(_));
    let changed = entry.changed_message();
    let changes = changed.is_some() && changed == other.local_id();
    failed && (creates || changes) && entry.conversation == other.conversation
}

/// Checks that an online device shows the service's data: timelines, counts, marks.
fn device_equals_truth(world: &mut World, index: usize, truth: &Truth) -> Result<(), StoreError> {
    if world.session_of(index) != SessionState::Open {
        return Ok(());
    }
    let Some((device, store)) = world
        .devices
        .get(index)
        .and_then(|it| Some((it, it.store()?)))
    else {
        return Ok(());
    };
    let mut found = Vec::new();
    let client = device.client().clone();
    let snapshot = store.snapshot();
    let cap = world.plan.shape.unread_cap;
    // In push mode the service tells no counts: a device counts the messages that it saw.
    let tells = world.plan.shape.offline == Offline::Unread;
    let fits = usize::try_from(world.plan.shape.catch_up_max).unwrap_or(usize::MAX);
    // An app that asks for the newest page itself has caught up with as much as it asked for.
    let pages = |it: &At<Action>| matches!(it.what, Action::FetchHistory { .. });
    let actions = world.plan.actions.iter();
    let has_paged = actions
        .filter(|it| pages(it))
        .any(|it| it.what.device() == Some(index));
    for held in truth.of(&client) {
        let id = &held.conversation.id;
        match snapshot.conversation_by_id(id)? {
            Some((number, row)) => {
                let info = row.info(None);
                timeline_equals(&snapshot, number, held, &client, &mut found)?;
                if held.messages.len() < fits && !has_paged {
                    no_gap_stays(&snapshot, number, held, &mut found)?;
                }
                if tells {
                    counts_equal(&info, held, &client, cap, &mut found);
                }
                marks_hold(&info, held, &mut found);
                if !world.shares_client(device) {
                    mute_equals(&snapshot, number, held, &client, &mut found)?;
                }
                if info.state == ConversationState::Left {
                    found.push(("members", format!("{id}: shown as left by a member")));
                }
                members_equal(&info, held, &mut found);
            }
            None => {
                // Nothing else tells the client of this conversation: it must be on the device only if messages
                // are unread.
                if tells && held.unread(&client).is_some_and(|unread| unread.count > 0) {
                    found.push(("missing", format!("{id} is not on the device")));
                }
            }
        }
    }
    drop(snapshot);
    for (check, what) in found {
        world.violate(check, format!("device {index}: {what}"));
    }
    Ok(())
}

/// A conversation is muted exactly where the service has it so, unless a change waits or failed.
fn mute_equals(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    held: &Held,
    client: &ClientId,
    found: &mut Vec<(&'static str, String)>,
) -> Result<(), StoreError> {
    let unsent = snapshot.outbox_of(number);
    if unsent.iter().any(|it| matches!(it.intent, Intent::Mute(_))) {
        return Ok(());
    }
    let shown = snapshot.conversation(number)?.is_some_and(|it| it.muted);
    let is_muted = held.members.get(client).is_some_and(|it| it.muted);
    if shown != is_muted {
        let id = &held.conversation.id;
        let what = format!("{id}: muted is {shown} on the device, {is_muted} at the service");
        found.push(("muted", what));
    }
    Ok(())
}

/// The members are the service's.
fn members_equal(info: &ConversationInfo, held: &Held, found: &mut Vec<(&'static str, String)>) {
    let id = &held.conversation.id;
    let mut shown: Vec<_> = info.members.iter().collect();
    shown.sort();
    if !shown.iter().copied().eq(held.members.keys()) {
        let right: Vec<_> = held.members.keys().collect();
        found.push((
            "members",
            format!("{id}: shows {shown:?}, and has {right:?}"),
        ));
    }
}

/// A timeline is the service's, with gaps where messages are missing.
fn timeline_equals(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    held: &Held,
    client: &ClientId,
    found: &mut Vec<(&'static str, String)>,
) -> Result<(), StoreError> {
    let id = &held.conversation.id;
    // A client is not told of changes of the time in which it was out.
    let joined_at = held.members.get(client).map(|member| member.joined_at);
    let mut sorted: Vec<&Message> = held.messages.iter().collect();
    sorted.sort_by_key(|message| (message.sent_at, message.id.clone()));
    let mut expected = sorted.into_iter().peekable();
    let mut after_gap = false;
    for item in whole_timeline(snapshot, number)? {
        let (position, message) = match item {
            TimelineItem::Gap(_) => {
                after_gap = true;
                continue;
            }
            TimelineItem::Echo { .. } => continue,
            TimelineItem::Message { position, message } => (position, message),
        };
        let before = |it: &&Message| (it.sent_at, &it.id) < (position.sent_at, &position.id);
        let mut skipped = 0;
        while expected.next_if(before).is_some() {
            skipped += 1;
        }
        if skipped > 0 && !after_gap {
            found.push((
                "hole",
                format!("{id}: {skipped} before {position:?} and no gap"),
            ));
        }
        after_gap = false;
        let same = |it: &&Message| it.sent_at == position.sent_at && it.id == position.id;
        match expected.next_if(same) {
            None => found.push((
                "timeline",
                format!("{id}: {position:?} is not at the service"),
            )),
            Some(truth) => {
                let content = content_of(truth);
                if message.sender != truth.from {
                    found.push(("timeline", format!("{id}: {position:?} is another's")));
                }
                let untold = truth.patched_at.is_some() && truth.patched_at <= joined_at;
                if message.content != content && !untold {
                    let recalled = truth.recalled;
                    let what = format!("{id}: {position:?} (recalled: {recalled}) says otherwise");
                    found.push(("timeline", what));
                }
            }
        }
    }
    let missing = expected.count();
    if missing > 0 && !after_gap {
        found.push((
            "hole",
            format!("{id}: the newest {missing} are missing and no gap"),
        ));
    }
    Ok(())
}

/// A conversation that fits into a catch-up has no gap, however often the catch-up was interrupted.
fn no_gap_stays(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    held: &Held,
    found: &mut Vec<(&'static str, String)>,
) -> Result<(), StoreError> {
    let timeline = whole_timeline(snapshot, number)?;
    let mut items = timeline.iter();
    if items.any(|item| matches!(item, TimelineItem::Gap(_))) {
        let id = &held.conversation.id;
        let what = format!("{id}: a gap among {} messages", held.messages.len());
        found.push(("gap", what));
    }
    Ok(())
}

/// Checks that unread and mention counts equal the service's, up to its cap. At its cap the service stops
/// counting, and does not say from where. A device then counts from its own read mark, and cannot know the
/// reads of the user's other devices.
fn counts_equal(
    info: &ConversationInfo,
    held: &Held,
    client: &ClientId,
    cap: u32,
    found: &mut Vec<(&'static str, String)>,
) {
    let id = &held.conversation.id;
    let Some(truth) = held.unread(client) else {
        return;
    };
    let shown = info.unread;
    let capped = truth.count >= cap;
    let least = truth.count.saturating_sub(truth.recalled);
    let fits = if capped {
        shown.count >= cap.min(least)
    } else {
        // The service counts recalled messages, a device that saw the recall does not.
        let enough = shown.at_least || shown.count >= least;
        enough && shown.count <= truth.count
    };
    if !fits {
        found.push(("unread", format!("{id}: shows {shown:?}, of {truth:?}")));
    }
    let certain = !capped && !truth.patched;
    if certain && shown.mentioned != truth.mentioned {
        found.push(("mention", format!("{id}: shows {shown:?}, of {truth:?}")));
    }
}

/// Receipts cover messages that there are.
fn marks_hold(info: &ConversationInfo, held: &Held, found: &mut Vec<(&'static str, String)>) {
    let id = &held.conversation.id;
    let ahead = |mark: Option<Timestamp>| mark.is_some_and(|it| it > held.newest());
    if ahead(info.delivered_until) || ahead(info.read_until) {
        found.push(("receipt", format!("{id}: a mark is ahead of every message")));
    }
}

pub(super) fn content_of(message: &Message) -> MessageContent {
    let payload = match &message.body {
        Body::Text(text) => Payload::Text(text.clone()),
        Body::Binary(bytes) => Payload::Binary(bytes.clone()),
    };
    content::decode(payload)
}

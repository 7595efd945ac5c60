//! A screen that follows a timeline, and somebody who talks to its user.

use std::sync::Arc;
use std::time::Duration;

use sampan::model::{ConversationId, ItemKey, MessageRef};
use sampan::views::TimelineState;
use sampan::{
    Conversation, Timeline, TimelineItem, TimelineItemKind, TimelineOptions, TimelineStart,
    TimelineUpdate,
};
use tokio::time::timeout;

use crate::place::{Device, PATIENCE, Place, id};
use crate::support::raw::RawConnection;

/// A timeline, and what a screen would show of it.
pub(crate) struct Screen {
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) state: TimelineState,
}

impl Screen {
    pub(crate) async fn open(talk: &Conversation, options: TimelineOptions) -> Self {
        let timeline = talk.timeline(Some(options)).await.unwrap();
        let mut screen = Self {
            timeline,
            state: TimelineState::default(),
        };
        screen.update().await;
        screen
    }

    pub(crate) async fn newest(talk: &Conversation) -> Self {
        Self::open(talk, TimelineOptions::default()).await
    }

    /// Takes the next update.
    pub(crate) async fn update(&mut self) -> TimelineUpdate {
        let next = self.timeline.next(self.state.version);
        let update = timeout(PATIENCE, next).await;
        let update = update.unwrap_or_else(|_| panic!("no update after {:?}", self.lines()));
        let update = update.unwrap().expect("a view that has not ended");
        self.state.apply(update.clone());
        update
    }

    /// Takes updates until what is shown is as wanted.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&TimelineState) -> bool) {
        let search = async {
            while !wanted(&self.state) {
                let next = self.timeline.next(self.state.version).await;
                self.state
                    .apply(next.unwrap().expect("a view that has not ended"));
            }
        };
        let found = timeout(PATIENCE, search).await;
        assert!(
            found.is_ok(),
            "no {what}: {:?}, {:?}",
            self.lines(),
            self.state.older
        );
    }

    /// True if nothing is newer than the items that are shown.
    pub(crate) async fn is_settled(&self) -> bool {
        let next = self.timeline.next(self.state.version);
        timeout(Duration::from_millis(50), next).await.is_err()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.state.items.iter().map(line).collect()
    }

    pub(crate) fn key(&self, at: usize) -> ItemKey {
        self.state.items.get(at).unwrap().key.clone()
    }

    pub(crate) fn keys(&self) -> Vec<ItemKey> {
        self.state
            .items
            .iter()
            .map(|item| item.key.clone())
            .collect()
    }

    /// The gap's place and key.
    pub(crate) fn gap(&self) -> Option<(usize, ItemKey)> {
        let mut items = self.state.items.iter().enumerate();
        let gap = items.find(|(_, item)| matches!(item.kind, TimelineItemKind::Gap { .. }));
        gap.map(|(at, item)| (at, item.key.clone()))
    }

    pub(crate) fn see(&self, first: usize, last: usize) {
        self.timeline.seen(self.key(first), self.key(last)).unwrap();
    }
}

pub(crate) fn line(item: &TimelineItem) -> String {
    match &item.kind {
        TimelineItemKind::Message { message } => {
            message.content.words().unwrap_or("recalled").to_owned()
        }
        TimelineItemKind::Gap { .. } => "(gap)".to_owned(),
        TimelineItemKind::FirstUnread { count, .. } => format!("({count} new)"),
    }
}

pub(crate) fn lines(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("line {number}")).collect()
}

pub(crate) fn page(page: u32) -> TimelineOptions {
    TimelineOptions {
        page,
        read_visible: false,
        ..TimelineOptions::default()
    }
}

pub(crate) fn from(start: TimelineStart, size: u32) -> TimelineOptions {
    TimelineOptions {
        start: Some(start),
        ..page(size)
    }
}

/// Somebody who talks to ann over a connection of their own.
pub(crate) struct Ben {
    pub(crate) raw: RawConnection,
    pub(crate) talk: ConversationId,
}

impl Ben {
    pub(crate) async fn of(place: &Place) -> Self {
        let (raw, ben) = place.raw("ben").await;
        let members = [ben.clone(), id("ann")];
        let talk = raw.start_conversation(&ben, &members, "tea").await.unwrap();
        Self { raw, talk }
    }

    pub(crate) async fn say(&self, numbers: std::ops::Range<u32>) -> Vec<MessageRef> {
        let mut said = Vec::new();
        for words in lines(numbers) {
            said.push(self.raw.say(&id("ben"), &self.talk, &words).await.unwrap());
        }
        said
    }
}

/// A device of ann's that catches up with so many messages a conversation.
pub(crate) async fn ann(place: &Place, device: &str, catch_up_max: u32) -> Device {
    let mut config = place.config(device);
    config.limits.catch_up_max = catch_up_max;
    Device::open(config, "ann").await
}

/// Goes online, and waits until what was missed is there.
pub(crate) async fn catch_up(device: &Device) {
    device.client.go_online(None).unwrap();
    let mut state = device.client.state();
    while !matches!(state.sync, sampan::SyncState::Current { .. }) {
        let next = timeout(PATIENCE, device.client.next_state(state.version)).await;
        state = next.expect("in sync").unwrap().unwrap();
    }
}

/// Ann has lines 0 to 29; of the 60 lines that follow she has the last 20 only.
pub(crate) async fn with_a_gap(place: &Place) -> (Ben, Device, Arc<Conversation>) {
    let ben = Ben::of(place).await;
    ben.say(0..30).await;
    let ann = ann(place, "phone", 20).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    while !talk.fetch_older(50).await.unwrap().start_reached {}
    ann.client.go_offline().unwrap();
    ben.say(30..90).await;
    catch_up(&ann).await;
    (ben, ann, talk)
}

pub(crate) fn messages(state: &TimelineState) -> usize {
    state
        .items
        .iter()
        .filter(|item| item.message().is_some())
        .count()
}

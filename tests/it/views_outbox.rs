//! All that is unsent, live, and why; and every event, numbered.

use std::sync::Arc;

use sampan::model::{Count, Event, OutboxKind, SendFailure};
use sampan::views::OutboxListState;
use sampan::wire::Op;
use sampan::{
    Blocker, Client, Delivery, EventFeed, LocalData, OutboxList, OutboxUpdate, UnsentWork, Version,
};

use crate::place::{Device, Place, id, in_time};

/// A list of unsent work, and what a screen would show of it.
struct Panel {
    list: Arc<OutboxList>,
    state: OutboxListState,
}

impl Panel {
    async fn open(client: &Client) -> Self {
        let mut panel = Self {
            list: client.outbox_list().await.unwrap(),
            state: OutboxListState::default(),
        };
        panel.update().await;
        panel
    }

    async fn update(&mut self) -> OutboxUpdate {
        let next = in_time("an update", self.list.next(self.state.version)).await;
        let update = next.unwrap().expect("a view that has not ended");
        self.state.apply(update.clone());
        update
    }

    async fn until(&mut self, what: &str, wanted: impl Fn(&OutboxListState) -> bool) {
        let search = async {
            while !wanted(&self.state) {
                let next = self.list.next(self.state.version).await;
                let update = next.unwrap().expect("a view that has not ended");
                self.state.apply(update);
            }
        };
        in_time(what, search).await;
    }

    fn deliveries(&self) -> Vec<&Delivery> {
        self.state.rows.iter().map(|row| &row.delivery).collect()
    }
}

const fn waiting(blocker: Blocker) -> Delivery {
    Delivery::Waiting { blocker }
}

/// D15: one list over all conversations, in the order of enqueueing, that empties when a session opens.
#[tokio::test]
async fn the_outbox_shows_what_is_unsent_in_all_conversations_and_why() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let mut panel = Panel::open(&ann.client).await;
    assert!(panel.state.rows.is_empty());
    let ben = ann.talk_to("ben").await;
    let cat = ann.talk_to("cat").await;
    let sent = ben.send_text("hello".into(), None).await.unwrap();
    cat.send_text("hi".into(), None).await.unwrap();
    panel.until("four rows", |it| it.rows.len() == 4).await;
    let kinds: Vec<_> = panel.state.rows.iter().map(|row| row.kind).collect();
    let expected = [
        OutboxKind::Create,
        OutboxKind::Create,
        OutboxKind::Send,
        OutboxKind::Send,
    ];
    assert_eq!(kinds, expected);
    let row = &panel.state.rows[2];
    assert_eq!((row.entry, row.tries), (sent.entry.unwrap(), Count(0)));
    assert_eq!(row.conversation, ben.info().await.unwrap().id);
    let key = sampan::model::MessageKey::local(sent.local_id);
    assert_eq!(row.message, Some(key));
    for delivery in panel.deliveries() {
        assert_eq!(*delivery, waiting(Blocker::Offline));
    }
    ann.go_online().await;
    panel.until("an empty list", |it| it.rows.is_empty()).await;
}

/// D15: a client that has sent what a minute allows says so, and when it goes on.
#[tokio::test]
async fn what_waits_for_the_pace_says_until_when_and_what_is_behind_it_waits_for_its_turn() {
    let place = Place::new().await;
    let mut config = place.config("phone");
    config.limits.sends_per_minute = 2;
    let ann = Device::open(config, "ann").await;
    let talk = ann.talk_to("ben").await;
    for line in 0..4 {
        talk.send_text(format!("line {line}"), None).await.unwrap();
    }
    let mut panel = Panel::open(&ann.client).await;
    ann.go_online().await;
    let is_paced = |it: &OutboxListState| {
        let paced = it.rows.first().map(|row| &row.delivery);
        it.rows.len() == 2
            && matches!(
                paced,
                Some(Delivery::Waiting {
                    blocker: Blocker::Pace { .. }
                })
            )
    };
    panel.until("a paced entry", is_paced).await;
    let [first, second] = &panel.state.rows[..] else {
        panic!("two rows");
    };
    let Delivery::Waiting {
        blocker: Blocker::Pace { until },
    } = first.delivery
    else {
        panic!("it is paced");
    };
    assert_eq!(first.next_try, Some(until));
    assert!(until > first.enqueued_at);
    assert_eq!(second.delivery, waiting(Blocker::Turn));
    assert_eq!((second.next_try, first.refusal.clone()), (None, None));
    assert_eq!(
        ann.client.state().outbox.blocker,
        Some(Blocker::Pace { until }),
        "the summary says the same"
    );
}

/// D15: work that failed for good stays with its cause, until the app takes it out.
#[tokio::test]
async fn what_failed_stays_with_its_cause_until_the_app_decides() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let (raw, ben) = place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw.start_conversation(&ben, &members, "talk").await;
    let talk = talk.unwrap();
    raw.say(&ben, &talk, "hello").await.unwrap();
    ann.sees(&talk, &["ben: hello"]).await;
    // She writes before she can know that she is out.
    ann.client.go_offline().unwrap();
    let said = ann.handle(&talk).send_text("am I in?".into(), None).await;
    let out = [id("ann")];
    let changed = raw.change_members(&ben, &talk, Op::Remove, &out);
    changed.await.unwrap();
    let mut panel = Panel::open(&ann.client).await;
    ann.client.go_online(None).unwrap();
    let has_failed = |it: &OutboxListState| {
        let mut rows = it.rows.iter();
        rows.any(|row| matches!(row.delivery, Delivery::Failed { .. }))
    };
    panel.until("a failure", has_failed).await;
    let row = &panel.state.rows[0];
    assert_eq!(row.entry, said.unwrap().entry.unwrap());
    let Delivery::Failed { failure, can_retry } = &row.delivery else {
        panic!("it failed");
    };
    assert!(matches!(failure, SendFailure::Refused { .. }) && *can_retry);
    ann.client.discard(row.entry).await.unwrap();
    panel.until("an empty list", |it| it.rows.is_empty()).await;
}

/// A waiting call is told that nothing comes any more.
#[tokio::test]
async fn a_list_and_a_feed_end_with_the_client() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let (list, feed) = (
        ann.client.outbox_list().await.unwrap(),
        ann.client.feed(None),
    );
    let newest = list.next(Version::NONE).await.unwrap().unwrap().version;
    let (listed, fed) = (list.next(newest), feed.next(0, 10));
    let out = ann.client.sign_out(LocalData::Keep, UnsentWork::KeepIt);
    let (listed, fed, out) = in_time("the end", async { tokio::join!(listed, fed, out) }).await;
    assert_eq!((listed.unwrap(), out), (None, Ok(())));
    // The session's end may have been told before.
    let last = fed.unwrap().map_or(0, |batch| batch.last);
    assert_eq!(in_time("the end", feed.next(last, 10)).await, Ok(None));
}

/// Takes from a feed until an event is as wanted; answers all that came.
async fn follow(feed: &EventFeed, mut after: u64, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut all = Vec::new();
    let search = async {
        while !all.last().is_some_and(&wanted) {
            let batch = feed
                .next(after, 3)
                .await
                .unwrap()
                .expect("the feed goes on");
            assert_eq!(batch.missed, Count(0));
            assert!((1..=3).contains(&batch.events.len()));
            assert_eq!(
                batch.last,
                after + batch.events.len() as u64,
                "no number is left out"
            );
            after = batch.last;
            let last = batch.events.iter().position(&wanted);
            all.extend(batch.events.into_iter().take(last.map_or(3, |at| at + 1)));
        }
    };
    in_time("an event", search).await;
    all
}

/// A bot gets every event once, by numbers, and an answer that it lost again.
#[tokio::test]
async fn a_feed_numbers_its_events_and_gives_them_again_until_their_number_is_named() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let feed = ann.client.feed(None);
    let talk = ann.talk_to("ben").await;
    for line in 0..5 {
        talk.send_text(format!("line {line}"), None).await.unwrap();
    }
    let lost = in_time("events", feed.next(0, 2)).await.unwrap().unwrap();
    assert_eq!(lost.last, 2);
    let again = in_time("events", feed.next(0, 2)).await.unwrap().unwrap();
    assert_eq!(again, lost);
    let is_last = |event: &Event| matches!(event, Event::MessageAdded { message, .. } if message.content.words() == Some("line 4"));
    let rest = follow(&feed, 2, is_last).await;
    let words = lost
        .events
        .iter()
        .chain(&rest)
        .filter_map(|event| match event {
            Event::MessageAdded { message, .. } => message.content.words(),
            _ => None,
        });
    let words: Vec<_> = words.collect();
    assert_eq!(words, ["line 0", "line 1", "line 2", "line 3", "line 4"]);
}

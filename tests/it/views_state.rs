//! The one small state of a client: link, sync, unread, outbox, store.

use std::sync::Arc;
use std::time::Duration;

use sampan::model::{Count, DeviceTag, SessionEnd, StoreHealth};
use sampan::{Blocker, Client, ClientOptions, ClientState, Engine, LinkState, SyncState, Version};
use tokio::time::timeout;

use crate::place::{Device, PATIENCE, Place, id};

/// Follows the state until it is as wanted; answers every state on the way.
async fn follow(client: &Client, wanted: impl Fn(&ClientState) -> bool) -> Vec<ClientState> {
    let mut seen = Vec::new();
    let search = async {
        let mut have = Version::NONE;
        loop {
            let state = client
                .next_state(have)
                .await
                .unwrap()
                .expect("an open client");
            have = state.version;
            seen.push(state.clone());
            if wanted(&state) {
                return;
            }
        }
    };
    let found = timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("waited in vain; the last was {:?}", seen.last()));
    seen
}

fn is_current(state: &ClientState) -> bool {
    matches!(state.sync, SyncState::Current { .. })
}

/// Everything of the last catch-up is in the store when the state says so: nobody guesses.
#[tokio::test]
async fn current_comes_when_everything_that_was_missed_is_in_the_store() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let mut said = 0;
    for talk in 0..40 {
        let name = format!("talk {talk}");
        let id = raw.start_conversation(&ben, &members, &name).await.unwrap();
        for line in 0..3 {
            raw.say(&ben, &id, &format!("line {line}")).await.unwrap();
            said += 1;
        }
    }
    let ann = place.device("phone", "ann").await;
    assert_eq!(ann.client.state().sync, SyncState::Unknown);
    ann.client.go_online(None).unwrap();
    let states = follow(&ann.client, is_current).await;
    // No waiting from here on.
    let list = ann.client.conversations(None, 500).await.unwrap();
    assert_eq!(list.conversations.len(), 40);
    let mut held = 0;
    for info in &list.conversations {
        held += ann.lines(&info.id).await.unwrap().len();
    }
    assert_eq!(held, said, "all that was said, and no gap");
    let last = states.last().unwrap();
    assert_eq!(last.link, LinkState::Online);
    assert_eq!(last.unread.all.messages, said as u64);
    assert_eq!(last.unread.all.conversations, 40);
    for state in &states {
        if let SyncState::CatchingUp { done, total } = state.sync {
            assert!(done <= total, "{done} of {total}");
        }
    }
}

/// Current lasts until the link breaks, and no longer.
#[tokio::test]
async fn who_loses_the_link_does_not_know_any_more_whether_anything_was_missed() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    follow(&ann.client, is_current).await;
    ann.client.go_offline().unwrap();
    let state = ann.client.state();
    assert_eq!(
        (state.link, state.sync),
        (LinkState::Off, SyncState::Unknown)
    );
    ann.client.go_online(None).unwrap();
    follow(&ann.client, is_current).await;
}

/// The outbox's summary counts, and names what holds the oldest entry up.
#[tokio::test]
async fn the_outbox_says_how_much_waits_since_when_and_for_what() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let nothing = ann.client.state().outbox;
    assert_eq!((nothing.waiting, nothing.oldest), (Count(0), None));
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let outbox = ann.client.state().outbox;
    assert_eq!((outbox.waiting, outbox.failed), (Count(2), Count(0)));
    assert_eq!(outbox.blocker, Some(Blocker::Offline));
    assert!(outbox.oldest.is_some());
    ann.client.go_online(None).unwrap();
    let states = follow(&ann.client, |state| {
        state.link == LinkState::Online && state.outbox.waiting == Count(0)
    })
    .await;
    let outbox = &states.last().unwrap().outbox;
    assert_eq!((outbox.blocker, outbox.oldest), (None, None));
}

/// The link's state has the time of the next try, so that a screen can count down to it.
#[tokio::test]
async fn a_link_that_waits_says_when_it_tries_again_and_why_it_failed() {
    let place = Place::new().await;
    let mut config = place.config("phone");
    config.server = sampan::ServerAddress::Router {
        url: "http://0.0.0.0:9".to_owned(),
    };
    let ann = Device::open(config, "ann").await;
    ann.client.go_online(None).unwrap();
    let waits = |state: &ClientState| matches!(state.link, LinkState::Waiting { .. });
    let states = follow(&ann.client, waits).await;
    let Some(LinkState::Waiting { retry_at, failure }) = states.last().map(|it| &it.link) else {
        panic!("it waits");
    };
    assert!(
        retry_at.as_millis() > 1_600_000_000_000,
        "a time of day: {retry_at}"
    );
    assert_eq!(*failure, Some(sampan::model::ConnectionFailure::Insecure));
}

/// One banner: the session's end and the background show in the link's state.
#[tokio::test]
async fn the_link_tells_of_the_background_and_of_a_session_that_was_ended() {
    let place = Place::new().await;
    let tagged = |device: &str| {
        let engine = Engine::open(place.config(device)).unwrap();
        let options = ClientOptions {
            tag: Some(DeviceTag::new("mobile").unwrap()),
            ..ClientOptions::default()
        };
        async move {
            let client = engine.client(id("ann"), options).await.unwrap();
            client.go_online(None).unwrap();
            client.wait_online().await.unwrap();
            Device { engine, client }
        }
    };
    let phone = tagged("phone").await;
    phone.engine.pause().await.unwrap();
    assert_eq!(phone.client.state().link, LinkState::Background);
    phone.engine.resume().await.unwrap();
    follow(&phone.client, |state| state.link == LinkState::Online).await;
    let _tablet = tagged("tablet").await;
    let ended = |state: &ClientState| matches!(state.link, LinkState::Ended { .. });
    let states = follow(&phone.client, ended).await;
    let reason = SessionEnd::Conflict;
    assert_eq!(states.last().unwrap().link, LinkState::Ended { reason });
}

/// Reads in the background say what was known last and open no file.
#[tokio::test]
async fn the_state_is_known_in_the_background_too() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let before = ann.client.state();
    ann.engine.pause().await.unwrap();
    let behind = ann.client.state();
    assert_eq!(behind.outbox, before.outbox);
    assert_eq!(behind.store, StoreHealth::Good);
}

/// A cancelled call is asked again, and then tells what came meanwhile.
#[tokio::test]
async fn a_cancelled_call_for_the_next_state_loses_nothing() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let have = ann.client.state().version;
    let waiting = timeout(Duration::from_millis(1), ann.client.next_state(have)).await;
    assert!(waiting.is_err(), "nothing changed yet");
    ann.talk_to("ben").await;
    let state = ann.client.next_state(have).await.unwrap().unwrap();
    assert_eq!(state.outbox.waiting, Count(1));
    assert!(state.version > have);
    let again = ann.client.state();
    assert!(again.seq >= state.seq);
    let shown = ClientState {
        seq: state.seq,
        ..again
    };
    assert_eq!(shown, state, "the same version is the same state");
}

/// Waiting ends with the client, for all who wait.
#[tokio::test]
async fn those_who_wait_for_the_next_state_are_told_when_the_client_is_closed() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let client = Arc::clone(&ann.client);
            tokio::spawn(async move {
                let mut have = Version::NONE;
                while let Some(state) = client.next_state(have).await.unwrap() {
                    have = state.version;
                }
            })
        })
        .collect();
    ann.engine.shutdown().await.unwrap();
    for one in waiting {
        timeout(PATIENCE, one).await.expect("it ends").unwrap();
    }
}

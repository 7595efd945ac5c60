//! Sessions and observers: what is told when, and to whom.

use std::sync::{Arc, mpsc};

use futures_util::StreamExt;
use sampan::model::{Event, SessionState};
use sampan::{Engine, EventObserver, EventStream, SampanError, library_version};
use tokio::time::timeout;

use crate::place::{PATIENCE, Place};

/// Waits until a session's state is told.
async fn is_told(events: &mut EventStream, expected: SessionState) {
    let told = async {
        loop {
            let event = events.next().await.expect("the engine runs");
            if matches!(event, Event::SessionChanged { state, .. } if state == expected) {
                return;
            }
        }
    };
    timeout(PATIENCE, told)
        .await
        .unwrap_or_else(|_| panic!("{expected:?} is told in time"));
}

/// S021, S024, S034, S035, S044: making a client does not connect it; opening is answered and told, and so
/// is closing.
#[tokio::test]
async fn opening_and_closing_are_answered_and_told() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let mut events = ann.client.events();
    assert_eq!(ann.client.session_state(), SessionState::Closed);
    ann.client.connect().await.unwrap();
    is_told(&mut events, SessionState::Opening).await;
    ann.client.opened().await.unwrap();
    is_told(&mut events, SessionState::Open).await;
    ann.client.disconnect().await.unwrap();
    is_told(&mut events, SessionState::Closed).await;
}

/// S041, S046, S047, S303: in the background the session is paused, in the foreground it opens by itself.
#[tokio::test]
async fn a_suspended_session_is_paused_and_opens_again_by_itself() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let mut events = ann.client.events();
    ann.engine.suspend().await.unwrap();
    is_told(&mut events, SessionState::Opening).await;
    ann.engine.resume().await.unwrap();
    is_told(&mut events, SessionState::Open).await;
}

struct Counter(mpsc::Sender<usize>);

impl EventObserver for Counter {
    fn on_events(&self, events: Vec<Event>) -> Result<(), SampanError> {
        // A test that has seen enough no longer listens.
        let _ = self.0.send(events.len());
        Ok(())
    }
}

/// S036, S039: each subscriber is told, until its own subscription ends; the others go on.
#[tokio::test]
async fn a_cancelled_subscriber_hears_no_more_and_the_others_do() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let (first, heard_first) = mpsc::channel();
    let (second, heard_second) = mpsc::channel();
    let one = ann.client.observe(Arc::new(Counter(first))).unwrap();
    let _two = ann.client.observe(Arc::new(Counter(second))).unwrap();
    ann.talk_to("ben").await;
    heard_first.recv().expect("the first is told");
    heard_second.recv().expect("the second is told");
    one.cancel();
    // The first one's thread ends, and its end of the channel with it.
    while heard_first.recv().is_ok() {}
    ann.talk_to("cem").await;
    heard_second.recv().expect("the second is still told");
}

/// S017: the library tells its version.
#[test]
fn the_library_tells_its_version() {
    assert_eq!(library_version(), env!("CARGO_PKG_VERSION"));
}

/// S032: engines of one process don't meet, whatever they are called.
#[tokio::test]
async fn two_engines_of_one_process_keep_apart() {
    let place = Place::new().await;
    let one = place.online("phone", "ann").await;
    let two = Engine::open(place.config("another phone")).unwrap();
    let same = two
        .client(one.client.id(), sampan::ClientOptions::default())
        .await
        .unwrap();
    one.talk_to("ben").await;
    assert!(same.outbox().await.unwrap().is_empty());
    assert!(
        same.conversations(None, 10)
            .await
            .unwrap()
            .conversations
            .is_empty()
    );
    two.shutdown().await.unwrap();
    assert_eq!(one.client.session_state(), SessionState::Open);
}

//! Sessions and observers: what is told when, and to whom.

use std::sync::{Arc, mpsc};

use sampan::model::{Event, SessionState};
use sampan::{EventObserver, EventStream, SampanError, library_version};

use crate::place::{Device, Place, heard, id};

/// Waits until a session's state is told.
async fn is_told(events: &mut EventStream, expected: SessionState) {
    let what = format!("{expected:?}");
    let same = |event| match event {
        Event::SessionChanged { state, .. } => (state == expected).then_some(()),
        _ => None,
    };
    Device::is_told(events, &what, same).await;
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
    ann.is_online().await;
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
    heard(&heard_first, "a word to the first").expect("the first is told");
    heard(&heard_second, "a word to the second").expect("the second is told");
    one.cancel();
    // The first one's thread ends, and its end of the channel with it.
    while heard(&heard_first, "the end of the first").is_some() {}
    while heard_second.try_recv().is_ok() {}
    ann.talk_to("cem").await;
    heard(&heard_second, "a word to the second").expect("the second is still told");
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
    let two = place.online("another phone", "cem").await;
    let talk = one.talk_to("ben").await;
    talk.send_text("not for cem".into()).await.unwrap();
    one.has_sent_everything().await;
    let theirs = two.client.conversations(None, 10).await.unwrap();
    assert!(theirs.conversations.is_empty());
    assert_eq!(two.engine.local_accounts().await.unwrap(), [id("cem")]);
    two.engine.shutdown().await.unwrap();
    assert_eq!(one.client.session_state(), SessionState::Open);
    talk.send_text("and on".into()).await.unwrap();
    one.has_sent_everything().await;
}

//! Sessions and observers: what is told when, and to whom.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use sampan::model::{DeviceTag, Event, OtherDevice, SessionState};
use sampan::{
    ClientOptions, Engine, EventObserver, EventStream, LinkState, LocalData, SampanError,
    ServerAddress, SyncState, UnsentWork, library_version,
};

use crate::cable::Cable;
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
    ann.client.go_online(None).unwrap();
    is_told(&mut events, SessionState::Opening).await;
    ann.is_online().await;
    is_told(&mut events, SessionState::Open).await;
    ann.client.go_offline().unwrap();
    is_told(&mut events, SessionState::Closed).await;
}

/// Going online and offline are said at once and obeyed in order; of several the last one holds.
#[tokio::test]
async fn going_online_and_offline_is_told_at_once_and_the_last_word_holds() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let nobody = ann.client.wait_online().await;
    assert_eq!(nobody, Err(SampanError::NotConnected));
    for _ in 0..20 {
        ann.client.go_online(None).unwrap();
        assert_eq!(ann.client.state().link, LinkState::Connecting);
        ann.client.go_offline().unwrap();
        assert_eq!(ann.client.state().link, LinkState::Off);
        assert_eq!(ann.client.state().sync, SyncState::Unknown);
    }
    ann.client.go_online(None).unwrap();
    ann.is_online().await;
    assert_eq!(ann.client.session_state(), SessionState::Open);
    ann.client.go_offline().unwrap();
    ann.talk_to("ben").await;
    assert_eq!(ann.client.session_state(), SessionState::Closed);
    ann.client
        .sign_out(LocalData::Keep, UnsentWork::KeepIt)
        .await
        .unwrap();
    assert_eq!(ann.client.go_online(None), Err(SampanError::SignedOut));
    assert_eq!(ann.client.go_offline(), Err(SampanError::SignedOut));
}

/// A user who presses the button does not wait for the next try.
#[tokio::test]
async fn retrying_now_does_not_wait_for_the_planned_time() {
    let place = Place::new().await;
    let cable = Cable::lay(None).await;
    cable.plug_into(place.service.addr());
    cable.cut();
    let mut config = place.config("phone");
    config.server = ServerAddress::Router {
        url: format!("http://{}", cable.addr),
    };
    config.limits.backoff_first = Duration::from_secs(86_400);
    config.limits.backoff_max = Duration::from_secs(86_400);
    let ann = Device::open(config, "ann").await;
    ann.client.go_online(None).unwrap();
    let is_planned = || async {
        let link = ann.client.state().link;
        matches!(link, LinkState::Waiting { .. }).then_some(())
    };
    ann.until("a planned try", is_planned).await;
    cable.mend();
    ann.client.retry_now();
    ann.is_online().await;
}

/// A map of clients or conversations knows one by any of its handles.
#[tokio::test]
async fn handles_of_the_same_are_equal_and_are_found_in_a_map() {
    #![expect(
        clippy::mutable_key_type,
        reason = "a handle is known by what it names, which never changes"
    )]
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let other = place.device("tablet", "ann").await;
    let again = ann.engine.client(id("ann"), ClientOptions::default());
    let again = again.await.unwrap();
    assert_eq!(again, ann.client);
    assert_ne!(other.client, ann.client);
    assert_ne!(other.engine, ann.engine);
    let talk = ann.talk_to("ben").await;
    let twin = again.conversation(talk.conversation_id()).unwrap();
    assert_eq!(twin, talk);
    assert_ne!(ann.talk_to("cat").await, talk);
    let drafts = HashMap::from([(talk, "draft")]);
    assert_eq!(drafts.get(&twin), Some(&"draft"));
    assert_eq!(format!("{again:?}"), "Client(ann)");
}

/// S041, S046, S047, S303: in the background the session is paused, in the foreground it opens by itself.
#[tokio::test]
async fn a_session_of_a_paused_engine_opens_again_by_itself() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let mut events = ann.client.events();
    ann.engine.pause().await.unwrap();
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
    talk.send_text("not for cem".into(), None).await.unwrap();
    one.has_sent_everything().await;
    let theirs = two.client.conversations(None, 10).await.unwrap();
    assert!(theirs.conversations.is_empty());
    assert_eq!(crate::place::accounts(&two.engine).await, [id("cem")]);
    two.engine.shutdown().await.unwrap();
    assert_eq!(one.client.session_state(), SessionState::Open);
    talk.send_text("and on".into(), None).await.unwrap();
    one.has_sent_everything().await;
}

/// S023, S377: a device is known by the id that the app chose: the same device takes its place again, another one has to
/// sign the first one out, or keeps away.
#[tokio::test]
async fn a_device_is_known_by_the_id_that_the_app_chose() {
    let place = Place::new().await;
    let open = async |folder: &str, device_id: &str| {
        let engine = Engine::open(place.config(folder)).unwrap();
        let options = ClientOptions {
            tag: Some(DeviceTag::new("mobile").unwrap()),
            device_id: Some(device_id.to_owned()),
            ..ClientOptions::default()
        };
        let client = engine.client(id("ann"), options).await;
        client.map(|client| Device { engine, client })
    };
    let first = open("phone", "device-1").await.unwrap();
    first.go_online().await;
    let other = open("tablet", "device-2").await.unwrap();
    other.client.go_online(Some(OtherDevice::Keep)).unwrap();
    let refusal = other.client.wait_online().await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::Refused { code: 4111, .. }),
        "{refusal}"
    );
    let again = open("phone, installed anew", "device-1").await.unwrap();
    again.client.go_online(Some(OtherDevice::Keep)).unwrap();
    again.is_online().await;
    for wrong in [String::new(), "x".repeat(65)] {
        let refusal = open("nowhere", &wrong).await.err().unwrap();
        assert!(matches!(refusal, SampanError::InvalidArgument { .. }));
    }
}

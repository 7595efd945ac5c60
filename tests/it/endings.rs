//! Endings of an engine, a session and a client; and calls that are given up half-way.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Wake, Waker};

use futures_util::StreamExt;
use sampan::model::{ConnectionState, Event, SessionState};
use sampan::{ClientOptions, Engine, ExtensionInbox, LocalData, SampanError, UnsentWork};
use tokio::time::timeout;

use crate::calls::{Call, Stage, all};
use crate::place::{Device, PATIENCE, Place, app, config, id};

#[tokio::test]
async fn those_who_wait_for_a_session_hear_that_the_engine_was_shut_down() {
    let place = Place::new().await;
    let nobody = sampan::ServerAddress::Router {
        url: "http://127.0.0.1:9".to_owned(),
    };
    let ann = Device::open(config(nobody, &place.folder.path().join("phone")), "ann").await;
    ann.client.go_online(None).unwrap();
    let client = Arc::clone(&ann.client);
    let waiting = tokio::spawn(async move { client.wait_online().await });
    while ann.client.session_state() != SessionState::Opening {
        tokio::task::yield_now().await;
    }
    ann.engine.shutdown().await.unwrap();
    let heard = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(heard, Err(SampanError::ShutDown));
    let asked_later = timeout(PATIENCE, ann.client.wait_online()).await.unwrap();
    assert_eq!(asked_later, Err(SampanError::ShutDown));
}

#[tokio::test]
async fn states_and_observers_are_told_that_everything_is_closed() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let dan = ann.engine.client(id("dan"), ClientOptions::default());
    let dan = dan.await.unwrap();
    dan.go_online(None).unwrap();
    dan.wait_online().await.unwrap();
    let events = ann.engine.events();
    dan.sign_out(LocalData::Keep, UnsentWork::KeepIt)
        .await
        .unwrap();
    assert_eq!(dan.session_state(), SessionState::Closed);
    assert_eq!(dan.wait_online().await, Err(SampanError::SignedOut));
    ann.engine.shutdown().await.unwrap();
    assert_eq!(ann.client.session_state(), SessionState::Closed);
    assert_eq!(ann.engine.connection_state(), ConnectionState::Idle);
    assert_eq!(ann.engine.accounts().await, Err(SampanError::ShutDown));
    let events: Vec<_> = timeout(PATIENCE, events.collect()).await.unwrap();
    let closed = |client: &str| Event::SessionChanged {
        client: id(client),
        state: SessionState::Closed,
    };
    for expected in [closed("dan"), closed("ann")] {
        let told = events.iter().filter(|event| **event == expected).count();
        assert_eq!(told, 1, "{expected:?} in {events:?}");
    }
    let idle = Event::ConnectionChanged {
        state: ConnectionState::Idle,
    };
    assert!(events.contains(&idle), "{events:?}");
}

/// Nothing of a wiped client comes back, wherever it lay.
#[tokio::test]
async fn a_wipe_takes_what_an_extension_left_too() {
    let place = Place::new().await;
    let inbox = place.folder.path().join("inbox");
    let mut config = place.config("phone");
    config.inbox_folder = Some(inbox.clone());
    let ann = Device::open(config.clone(), "ann").await;
    let talk = ann.talk_to("ben").await.conversation_id();
    let leave = |client: &str| {
        let extension = ExtensionInbox::open(inbox.clone(), app(), id(client), None).unwrap();
        extension
            .send_text(talk.clone(), "secret".to_owned())
            .unwrap();
    };
    leave("ann");
    let own: Vec<_> = fs::read_dir(&inbox).unwrap().map(Result::unwrap).collect();
    for name in ["1-a.intent.damaged", "2-b.intent.new"] {
        fs::write(own[0].path().join(name), "secret").unwrap();
    }
    leave("ben");
    ann.client
        .sign_out(LocalData::Wipe, UnsentWork::ThrowAway)
        .await
        .unwrap();
    let left: Vec<_> = fs::read_dir(&inbox).unwrap().collect();
    assert_eq!(left.len(), 1, "another client's is untouched: {left:?}");
    let again = ann.engine.client(id("ann"), ClientOptions::default());
    let again = again.await.unwrap();
    assert_eq!(again.outbox().await.unwrap(), []);
    assert_eq!(again.import_inbox().await.unwrap().imported, 0);
}

/// Tells that it was called.
struct Wakes(std::sync::Mutex<std::sync::mpsc::Sender<()>>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        let _ = self.0.lock().unwrap().send(());
    }
}

/// Polls a call so many times, waiting for its wake in between, and gives it up; true if the call had not come to its
/// end before.
pub(crate) fn give_up_after(polls: u32, mut call: Call) -> bool {
    let (woken, wakes) = channel();
    let waker = Waker::from(Arc::new(Wakes(std::sync::Mutex::new(woken))));
    for poll in 0..polls {
        let polled = call.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            return false;
        }
        if poll + 1 < polls {
            wakes.recv_timeout(PATIENCE).expect("the call goes on");
        }
    }
    true
}

/// A call that was given up at any of its await points happened or did not: the same call again, and
/// every other one, works.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_half_way_can_be_made_again() {
    let ends = [
        "Client.sign_out",
        "Engine.pause",
        "Engine.resume",
        "Engine.shutdown",
    ];
    let place = Place::new().await;
    let stage = Stage::set(&place).await;
    for (name, make) in all() {
        if ends.contains(&name) {
            continue;
        }
        for polls in 1.. {
            let call = make(stage.clone());
            let begun = tokio::task::spawn_blocking(move || give_up_after(polls, call));
            if !begun.await.unwrap() {
                break;
            }
            let again = timeout(PATIENCE, make(stage.clone())).await;
            assert!(again.is_ok(), "{name}, given up after {polls}");
            let other = timeout(PATIENCE, stage.talk.info()).await.unwrap();
            assert!(other.is_ok(), "{name}, given up after {polls}");
        }
    }
    let dan = timeout(
        PATIENCE,
        stage.engine.client(id("dan"), ClientOptions::default()),
    );
    assert!(dan.await.unwrap().is_ok(), "opening was given up before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ends_something_is_carried_to_its_end_when_it_is_given_up() {
    for (name, make) in all() {
        if !["Client.sign_out", "Engine.pause", "Engine.shutdown"].contains(&name) {
            continue;
        }
        for polls in 1.. {
            let place = Place::new().await;
            let stage = Stage::set(&place).await;
            let call = make(stage.clone());
            let begun = tokio::task::spawn_blocking(move || give_up_after(polls, call));
            if !begun.await.unwrap() {
                break;
            }
            let again = timeout(PATIENCE, make(stage.clone())).await;
            assert!(again.is_ok(), "{name} again");
            let engine = match name {
                "Engine.shutdown" => Engine::open(place.config("phone")).unwrap(),
                _ => stage.engine,
            };
            let ann = timeout(PATIENCE, engine.client(id("ann"), ClientOptions::default()));
            let ann = ann.await.unwrap();
            assert!(ann.is_ok(), "{name}, given up after {polls}: {ann:?}");
        }
    }
}

/// The engine wipes even when nobody waits; the same call again waits for the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_wipe_that_nobody_waits_for_is_done() {
    let place = Place::new().await;
    let stage = Stage::set(&place).await;
    let client = Arc::clone(&stage.client);
    let call: Call = Box::pin(async move {
        let _ = client
            .sign_out(LocalData::Wipe, UnsentWork::ThrowAway)
            .await;
    });
    let begun = tokio::task::spawn_blocking(move || give_up_after(1, call));
    assert!(begun.await.unwrap());
    let again = timeout(
        PATIENCE,
        stage.client.sign_out(LocalData::Keep, UnsentWork::KeepIt),
    )
    .await;
    let again = again.unwrap();
    assert!(
        matches!(again, Ok(()) | Err(SampanError::SignedOut)),
        "{again:?}"
    );
    assert_eq!(crate::place::accounts(&stage.engine).await, []);
    let fresh = stage.engine.client(id("ann"), ClientOptions::default());
    let page = fresh.await.unwrap().conversations(None, 10).await.unwrap();
    assert_eq!(page.conversations, []);
}

/// Tells the child process where its folder is.
const BARREN: &str = "SAMPAN_IT_BARREN";

/// The child: no thread can be started in it.
#[tokio::test]
#[ignore = "it is the other half of the test below, which starts it"]
async fn child_without_threads() {
    let Ok(folder) = std::env::var(BARREN) else {
        return;
    };
    let nobody = sampan::ServerAddress::Router {
        url: "http://127.0.0.1:9".to_owned(),
    };
    let error = Engine::open(config(nobody, folder.as_ref())).unwrap_err();
    assert!(
        matches!(error, SampanError::NoResources { .. }),
        "{error:?}"
    );
    println!("it was told");
}

#[test]
fn an_engine_for_which_the_system_has_no_thread_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "endings::child_without_threads"])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(BARREN, folder.path())
        // No address space holds such a stack.
        .env("RUST_MIN_STACK", (1_u64 << 60).to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("it was told"),
        "{child:?}"
    );
}

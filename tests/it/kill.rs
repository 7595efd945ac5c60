//! A process that is killed right after a send returned loses nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sampan::model::Message;

use crate::place::{Device, Place, config, id, line};

/// Tells the child process where its store is; without it the child's half of the test does nothing.
const STORE: &str = "SAMPAN_IT_KILL_STORE";

/// The child's word before each send's text.
const SENT: &str = "sent:";

/// Tells the child where a service is; without it the child stays offline.
const SERVICE: &str = "SAMPAN_IT_KILL_SERVICE";

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

fn child_config(store: PathBuf, url: String) -> sampan::Config {
    config(sampan::ServerAddress::Router { url }, &store)
}

/// Starts the child's half of a test in a process of its own.
fn child(store: &Path, service: Option<String>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "kill::child_that_sends_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(STORE, store)
        .stdout(Stdio::piped());
    if let Some(service) = service {
        command.env(SERVICE, service);
    }
    command.spawn().unwrap()
}

/// Counts the sends that the child tells, up to `enough`.
fn count_sent(child: &mut Child, enough: usize) -> usize {
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    said.map(Result::unwrap)
        .filter(|line| line.starts_with(SENT))
        .take(enough)
        .count()
}

/// The child: it sends, says so as soon as the call returned, and waits for its end.
#[tokio::test]
#[ignore = "it is the other half of the test below, which starts it"]
async fn child_that_sends_until_it_is_killed() {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    let service = std::env::var(SERVICE).ok();
    let url = service.clone().unwrap_or_else(|| NOWHERE.to_owned());
    let ann = Device::open(child_config(store.into(), url), "ann").await;
    if service.is_some() {
        ann.client.go_online(None).unwrap();
    }
    // Each child has a conversation of its own, so that what it said can be told apart.
    let talk = ann.talk_to(&format!("ben-{}", std::process::id())).await;
    let mut out = std::io::stdout();
    for number in 0.. {
        let words = format!("line {number}");
        talk.send_text(words.clone(), None).await.unwrap();
        writeln!(out, "{SENT}{words}").unwrap();
        out.flush().unwrap();
    }
}

/// D02: SIGKILL at different moments: each message that was said to be sent is there, once and in order.
#[tokio::test]
async fn nothing_that_was_sent_is_lost_when_the_process_is_killed() {
    let place = Place::new().await;
    let store = place.folder.path().join("phone");
    let mut promised = 0;
    for kills in [1, 2, 3, 5, 8] {
        let mut child = child(&store, None);
        let heard = count_sent(&mut child, kills);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(heard, kills, "the child sent what it was asked to");
        promised += heard;
    }
    let ann = Device::open(child_config(store, NOWHERE.to_owned()), "ann").await;
    let list = ann
        .client
        .conversations(None, 100)
        .await
        .unwrap()
        .conversations;
    let mut kept = 0;
    for info in &list {
        let lines = ann.lines(&info.id).await.unwrap();
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(*line, format!("ann: line {number} (pending)"));
        }
        kept += lines.len();
    }
    assert!(kept >= promised, "{kept} of at least {promised} are there");
}

/// D02: SIGKILL while messages go out and are acknowledged: the service has each of them once, in order,
/// after the app was started again.
#[tokio::test]
async fn nothing_is_lost_or_sent_twice_when_a_process_is_killed_while_it_sends() {
    let place = Place::new().await;
    let store = place.folder.path().join("phone");
    let url = format!("http://{}", place.service.addr());
    let mut promised = 0;
    for kills in [3, 9, 27, 60] {
        let mut child = child(&store, Some(url.clone()));
        let heard = count_sent(&mut child, kills);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(heard, kills, "the child sent what it was asked to");
        promised += heard;
    }
    let ann = Device::open(child_config(store, url), "ann").await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    // Another device asks the service alone.
    let witness = place.online("witness", "ann").await;
    let list = ann.client.conversations(None, 100).await.unwrap();
    assert_eq!(
        list.conversations.len(),
        4,
        "each child made one conversation"
    );
    let mut kept = 0;
    for info in list.conversations {
        let talk = witness.client.fetch_conversation(info.id.clone()).await;
        let talk = talk.unwrap();
        while !talk.fetch_older(100).await.unwrap().start_reached {}
        let of_ann = |message: &Message| message.sender == id("ann");
        let at_service = witness.messages(&info.id).await;
        assert!(at_service.iter().all(of_ann));
        for (number, message) in at_service.iter().enumerate() {
            assert_eq!(line(message), format!("ann: line {number}"));
        }
        assert_eq!(ann.messages(&info.id).await.len(), at_service.len());
        kept += at_service.len();
    }
    assert!(kept >= promised, "{kept} of at least {promised} are there");
}

//! A process that is killed right after a send returned loses nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::place::{Device, Place, config};

/// Tells the child process where its store is; without it the child's half of the test does nothing.
const STORE: &str = "SAMPAN_IT_KILL_STORE";

/// What the child says before each send's text.
const SENT: &str = "sent:";

fn child_config(store: PathBuf) -> sampan::Config {
    let url = "http://127.0.0.1:9".into();
    config(sampan::ServerAddress::Router { url }, &store)
}

/// The child: it sends, says so as soon as the call returned, and waits for its end.
#[tokio::test]
#[ignore = "it is the other half of the test below, which starts it"]
async fn child_that_sends_until_it_is_killed() {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    let ann = Device::open(child_config(store.into()), "ann").await;
    // Each child has a conversation of its own, so that what it said can be told apart.
    let talk = ann.talk_to(&format!("ben-{}", std::process::id())).await;
    let mut out = std::io::stdout();
    for number in 0.. {
        let words = format!("line {number}");
        talk.send_text(words.clone()).await.unwrap();
        writeln!(out, "{SENT}{words}").unwrap();
        out.flush().unwrap();
    }
}

/// D02: SIGKILL at different moments: whatever was said to be sent is there, once and in order.
#[tokio::test]
async fn nothing_that_was_sent_is_lost_when_the_process_is_killed() {
    let place = Place::new().await;
    let store = place.folder.path().join("phone");
    let mut promised = 0;
    for kills in [1, 2, 3, 5, 8] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_sends_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(STORE, &store)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let heard = said
            .map(Result::unwrap)
            .filter(|line| line.starts_with(SENT))
            .take(kills)
            .count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(heard, kills, "the child sent what it was asked to");
        promised += heard;
    }
    let ann = Device::open(child_config(store), "ann").await;
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

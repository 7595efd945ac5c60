//! Settings and keys that change while the service runs.
#![cfg(unix)]

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use sampan::wire::generated::{PatchCommand, PatchItem, SessionCommand};
use sampan::wire::{Command, Op};
use tokio::time::timeout;

use crate::client::{Client, PATIENCE};
use crate::http::request;
use crate::program::Program;

/// A program over files that a test changes.
struct Operated {
    folder: tempfile::TempDir,
    program: Program,
}

impl Operated {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (settings, apps) = (folder.path().join("settings"), folder.path().join("apps"));
        std::fs::write(&settings, "{}").unwrap();
        std::fs::write(&apps, "# one more\n\nsecond:secondKey:secondMaster\n").unwrap();
        let flags = [
            "--settings",
            settings.to_str().unwrap(),
            "--app-file",
            apps.to_str().unwrap(),
        ];
        let log = Stdio::from(File::create(folder.path().join("log")).unwrap());
        let program = Program::start_with(&folder.path().join("data"), &flags, log);
        Self { folder, program }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Has the files read again, and waits until the log tells the result.
    async fn reload(&self, outcome: &str) {
        let log = self.folder.path().join("log");
        let count = || said(&log, outcome);
        let before = count();
        self.program.signal("-HUP");
        let told = async {
            while count() == before {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, told).await.expect("the log tells it");
    }

    /// The status of a request with a master key.
    async fn status_with(&self, app: &str, master_key: &str) -> u16 {
        let headers = format!("X-LC-Id: {app}\r\nX-LC-Key: {master_key},master\r\n");
        let path = "/1.2/rtm/messages";
        request(self.program.address, "GET", path, &headers, "")
            .await
            .status
    }
}

fn said(log: &Path, text: &str) -> usize {
    let log = std::fs::read_to_string(log).unwrap();
    log.lines().filter(|line| line.contains(text)).count()
}

/// The code of an edit of a message, if it is refused.
async fn edit(tom: &mut Client, cid: &str, (mid, at): &(String, i64)) -> Option<i32> {
    let item = PatchItem {
        cid: Some(cid.to_owned()),
        mid: Some(mid.clone()),
        timestamp: Some(*at),
        data: Some(b"changed".to_vec()),
        ..PatchItem::default()
    };
    let body = PatchCommand {
        patches: vec![item],
        ..PatchCommand::default()
    };
    match tom.ask(Command::patch(Op::Modify, body)).await {
        Command::Error(error) => Some(error.code),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_again_without_a_connection_that_ends() {
    let operated = Operated::start();
    let mut tom = Client::connect_to(operated.program.address, "Tom", "lc.protobuf2.3").await;
    tom.sign_in(SessionCommand::default()).await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    let message = tom.say(&cid, "one").await;
    assert_eq!(edit(&mut tom, &cid, &message).await, None);
    operated.write("settings", r#"{"myApp":{"features":{"edit":false}}}"#);
    operated.reload("were read again").await;
    assert_eq!(edit(&mut tom, &cid, &message).await, Some(4406));
    // A slip of the pen is told, and the settings before it stay.
    operated.write("settings", r#"{"myApp":{"featurez":{}}}"#);
    operated.reload("stay as they are").await;
    assert_eq!(edit(&mut tom, &cid, &message).await, Some(4406));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_and_apps_come_and_go_while_the_service_runs() {
    let operated = Operated::start();
    assert_eq!(operated.status_with("second", "secondMaster").await, 200);
    let mut tom = Client::connect_to(operated.program.address, "Tom", "lc.protobuf2.3").await;
    tom.sign_in(SessionCommand::default()).await;
    let mut amy = Client::connect_to(operated.program.address, "Amy", "lc.protobuf2.3").await;
    let mut opening = amy.opening(SessionCommand::default());
    opening.app_id = Some("second".to_owned());
    amy.ask_envelope(opening).await;
    operated.write("apps", "second:secondKey:newMaster\n");
    operated.reload("were read again").await;
    assert_eq!(operated.status_with("second", "secondMaster").await, 401);
    assert_eq!(operated.status_with("second", "newMaster").await, 200);
    assert_eq!(amy.ask(Command::Echo).await, Command::Echo);
    operated.write("apps", "third:thirdKey:thirdMaster\n");
    operated.reload("were read again").await;
    let code = amy
        .hear_until(|command| match command {
            Command::Session {
                op: Op::Closed,
                body,
            } => body.code,
            _ => None,
        })
        .await;
    assert_eq!(code, 4115, "a session of an app that is gone");
    assert_eq!(operated.status_with("second", "newMaster").await, 401);
    assert_eq!(operated.status_with("third", "thirdMaster").await, 200);
    assert_eq!(tom.ask(Command::Echo).await, Command::Echo);
    assert!(tom.drain().await.is_empty());
}

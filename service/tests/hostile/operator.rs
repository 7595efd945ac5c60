//! The program in the hands of its operator: its words when it cannot start, and its end.

use std::path::Path;
use std::process::{Command as Process, Output, Stdio};

use sampan::wire::Command;

use crate::program::Program;
use crate::raw::{Incoming, RawClient, message};

/// Runs the program until it ends by itself, which it must.
fn run(arguments: &[&str]) -> Output {
    Process::new(env!("CARGO_BIN_EXE_sampan-service"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Asserts that the program refuses to start, with this exit code and a message that has these words.
#[track_caller]
fn check_refused(arguments: &[&str], code: i32, words: &[&str]) {
    let output = run(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "it said that it listens");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(!said.contains("secretMaster"), "a key was told: {said}");
}

const APP: &str = "myApp:myKey:secretMaster";

#[test]
fn help_tells_every_flag_and_how_to_begin() {
    let output = run(&["--help"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for word in [
        "--listen",
        "--data",
        "--app",
        "--settings",
        "--public-url",
        "--metrics",
        "--log",
        "--log-format",
        "Examples:",
    ] {
        assert!(said.contains(word), "no {word} in: {said}");
    }
}

#[test]
fn wrong_flags_end_with_2_and_name_what_is_wrong() {
    check_refused(&["--data", "x"], 1, &["--app"]);
    check_refused(&["--app", APP], 2, &["--data"]);
    let only_cert = ["--data", "x", "--app", APP, "--tls-cert", "c"];
    check_refused(&only_cert, 2, &["--tls-key"]);
    let proxy = ["--data", "x", "--app", APP, "--trust-proxy", "10.0.0.0/40"];
    check_refused(&proxy, 2, &["--trust-proxy", "10.0.0.0/8"]);
    check_refused(&["--dta", "x", "--app", APP], 2, &["--dta", "--data"]);
    check_refused(
        &["--data", "x", "--app", APP, "--listen", "here"],
        2,
        &["--listen"],
    );
    for url in [
        "chat.example.com",
        "ftp://chat.example.com",
        "https://",
        "https://a/?b",
    ] {
        let arguments = ["--data", "x", "--app", APP, "--public-url", url];
        check_refused(&arguments, 2, &["--public-url", "https://HOST"]);
    }
}

#[test]
fn an_app_without_its_three_parts_is_refused_without_repeating_keys() {
    check_refused(
        &["--data", "x", "--app", "myApp:secretMaster"],
        1,
        &["ID:KEY:MASTERKEY"],
    );
    let same = "myApp:secretMaster:secretMaster";
    check_refused(
        &["--data", "x", "--app", same],
        1,
        &["myApp", "must differ"],
    );
}

#[test]
fn a_settings_file_is_refused_with_its_name_and_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.json");
    let path = file.to_str().unwrap();
    let arguments = ["--data", "x", "--app", APP, "--settings", path];
    check_refused(&arguments, 1, &["settings.json", "cannot be read"]);
    for (text, words) in [
        ("{\"myApp\":\n{\"limitz\":{}}}", ["limitz", "line 2"]),
        ("{\"myApp\": {", ["settings.json", "line 1"]),
        (
            "{\"myApp\":{\"limits\":{\"members\":1}}}",
            ["limits.members", "from 2 to 10000"],
        ),
        ("{\"other\":{}}", ["other", "not served"]),
    ] {
        std::fs::write(&file, text).unwrap();
        check_refused(&arguments, 1, &words);
    }
}

#[test]
fn data_that_cannot_be_used_are_refused_with_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |data: &Path, words: &[&str]| {
        let data = data.to_str().unwrap();
        let all: Vec<&str> = words.iter().copied().chain([data]).collect();
        let arguments = ["--listen", "127.0.0.1:0", "--data", data, "--app", APP];
        check_refused(&arguments, 1, &all);
    };
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    refused(&file, &["cannot be used"]);
    let damaged = folder.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("sampan-service.redb"), [7; 9000]).unwrap();
    refused(&damaged, &["the database failed"]);
    let used = folder.path().join("used");
    let _first = Program::start(&used);
    refused(&used, &["another process uses this data"]);
}

#[test]
fn a_port_in_use_is_refused_with_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let first = Program::start(&folder.path().join("first"));
    let (address, second) = (first.address.to_string(), folder.path().join("second"));
    let data = second.to_str().unwrap();
    let arguments = ["--listen", &address, "--data", data, "--app", APP];
    check_refused(&arguments, 1, &[&address, "cannot be listened on"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_ends_cleanly_and_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path());
    let mut tom = RawClient::open(program.address, "Tom").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    for number in 0..300 {
        tom.send(message(&chat, &format!("number {number}"))).await;
    }
    let mut acknowledged = 0;
    while acknowledged < 50 {
        acknowledged += usize::from(is_accepted(tom.read().await));
    }
    program.terminate();
    // A connection that stands goes on until its client leaves; then the service has nobody left to wait for.
    while acknowledged < 300 {
        acknowledged += usize::from(is_accepted(tom.read().await));
    }
    drop(tom);
    assert_eq!(program.exit_code(), Some(0));
    let program = Program::start(folder.path());
    let mut jerry = RawClient::open(program.address, "Jerry").await;
    assert_eq!(jerry.history(&chat, 1000).await.len(), 300);
}

fn is_accepted(incoming: Incoming) -> bool {
    match incoming {
        Incoming::Command(envelope) => match envelope.command {
            Command::Ack(ack) => ack.code.is_none(),
            _ => false,
        },
        Incoming::Closed(code) => panic!("closed with {code:?}"),
    }
}

/// The time of a message in a conversation that is new, by the service's own clock.
async fn time_of_a_message(program: &Program, other: &str) -> i64 {
    let mut tom = RawClient::open(program.address, "Tom").await;
    let chat = tom.start(&["Tom", other]).await;
    match tom.say(&chat, "what time is it?").await {
        Command::Ack(ack) => ack.t.unwrap(),
        other => panic!("not acknowledged: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_far_ahead_is_kept_until_it_is_to_be_forgotten() {
    use sampan::model::Timestamp;
    use sampan_service::storage::{Clock, RedbStorage, Storage as _, Write};

    // The year 2096; the machine's clock is well before it.
    const AHEAD_MS: i64 = 4_000_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let mut storage = RedbStorage::open_folder(folder.path()).unwrap();
    let ahead = Clock {
        shown: Timestamp::from_millis(AHEAD_MS),
        last: Timestamp::from_millis(AHEAD_MS),
        proven: None,
    };
    storage.apply(vec![Write::PutClock(ahead)]).await.unwrap();
    storage.commit().await.unwrap();
    drop(storage);
    let mut program = Program::start(folder.path());
    assert!(time_of_a_message(&program, "Jerry").await >= AHEAD_MS);
    program.kill();
    let mut program = Program::start_with(folder.path(), &["--forget-clock"], Stdio::inherit());
    let forgotten = time_of_a_message(&program, "Spike").await;
    assert!(forgotten < AHEAD_MS, "{forgotten}");
    program.kill();
    // Once is enough.
    let program = Program::start(folder.path());
    let later = time_of_a_message(&program, "Butch").await;
    assert!((forgotten..AHEAD_MS).contains(&later), "{later}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_standard_streams_serves() {
    let folder = tempfile::tempdir().unwrap();
    // It cannot say where it listens, so it is told.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let script = format!(
        "exec '{}' --listen {address} --app {APP} --data '{}' <&- >&- 2>&-",
        env!("CARGO_BIN_EXE_sampan-service"),
        folder.path().display()
    );
    let mut child = Process::new("sh").args(["-c", &script]).spawn().unwrap();
    let serves = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let served = tokio::time::timeout(std::time::Duration::from_secs(20), serves).await;
    let status = match served {
        Ok(()) => crate::http::health(address).await.0,
        Err(_) => 0,
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status, 200);
}

//! The operator's hands: the subcommand `admin`, and the rate of an address.
#![cfg(unix)]

use std::path::Path;
use std::process::{Command as Process, Stdio};

use sampan::wire::generated::SessionCommand;
use sampan::wire::{Command, Op};
use sampan_service::{Service, ServiceOptions, StorageChoice};

use crate::client::Client;
use crate::http::{get, request};
use crate::program::Program;

/// Runs an errand; answers its exit code and its output, or the reason.
fn admin(data: &Path, errand: &[&str]) -> (Option<i32>, String) {
    let output = Process::new(env!("CARGO_BIN_EXE_sampan-service"))
        .args(["admin", "--data", data.to_str().unwrap()])
        .args(["--app", "myApp:myKey:myMasterKey"])
        .args(errand)
        .output()
        .unwrap();
    let said = match output.status.success() {
        true => output.stdout,
        false => output.stderr,
    };
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[track_caller]
fn done(data: &Path, errand: &[&str]) -> String {
    let (code, said) = admin(data, errand);
    assert_eq!(code, Some(0), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lists_bars_and_erases_clients_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    assert_eq!(admin(data, &["stats"]).0, Some(1), "no service runs there");
    let program = Program::start(data);
    let mut tom = Client::connect_to(program.address, "Tom", "lc.protobuf2.3").await;
    tom.sign_in(SessionCommand::default()).await;
    let mut jerry = Client::connect_to(program.address, "Jerry", "lc.protobuf2.3").await;
    jerry.sign_in(SessionCommand::default()).await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    tom.say(&cid, "one").await;
    tom.say(&cid, "two").await;
    let listed = done(data, &["sessions"]);
    assert!(listed.contains(r#""client_id":"Tom""#) && listed.contains(r#""client_id":"Jerry""#));
    assert!(listed.ends_with("{\"sessions\":2}\n"), "{listed}");
    assert!(done(data, &["stats"]).contains(r#""online_user_count":2"#));
    assert!(done(data, &["bar", "Tom", "--reason", "enough"]).contains(r#""sessions":1"#));
    let told = tom
        .hear_until(|command| match command {
            Command::Session {
                op: Op::Closed,
                body,
            } => Some((body.code, body.detail.clone())),
            _ => None,
        })
        .await;
    assert_eq!(told, (Some(4115), Some("enough".to_owned())));
    let mut again = Client::connect_to(program.address, "Tom", "lc.protobuf2.3").await;
    let opening = again.opening(SessionCommand::default());
    let Command::Error(error) = again.ask_envelope(opening).await.command else {
        panic!("a barred client came in")
    };
    assert_eq!(error.code, 4106);
    let erased = done(data, &["erase", "Tom"]);
    assert!(
        erased.contains(r#""messages":2"#) && erased.contains(r#""memberships":1"#),
        "{erased}"
    );
    done(data, &["unbar", "Tom"]);
    tom.sign_in(SessionCommand::default()).await;
    done(data, &["delete-conversation", &cid]);
    let (code, said) = admin(data, &["delete-conversation", &cid]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = admin(data, &["bar", "Tom", "--until", "5"]);
    assert!(code == Some(1) && said.contains("to come"), "{said}");
    assert!(!said.contains("myMasterKey"));
}

/// The reason with which a session was closed.
async fn closed_with(client: &mut Client) -> Option<String> {
    client
        .hear_until(|command| match command {
            Command::Session {
                op: Op::Closed,
                body,
            } => Some(body.detail.clone()),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_kicks_revokes_and_deletes_by_names_that_need_care() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let program = Program::start(data);
    let name = "Tom & Jerry/50% é";
    let mut odd = Client::connect_to(program.address, name, "lc.protobuf2.3").await;
    odd.sign_in(SessionCommand::default()).await;
    let mut amy = Client::connect_to(program.address, "Amy", "lc.protobuf2.3").await;
    let token = amy.sign_in(SessionCommand::default()).await.st;
    let listed = done(data, &["sessions", "--client", name]);
    assert!(
        listed.contains(name) && listed.ends_with("{\"sessions\":1}\n"),
        "{listed}"
    );
    done(data, &["kick", name, "--reason", "a break"]);
    assert_eq!(closed_with(&mut odd).await.as_deref(), Some("a break"));
    // Those that are kicked may come back, and others are left alone.
    odd.sign_in(SessionCommand::default()).await;
    assert_eq!(amy.ask(Command::Echo).await, Command::Echo);
    assert!(done(data, &["sessions"]).ends_with("{\"sessions\":2}\n"));
    done(data, &["revoke", "--client", "Amy"]);
    let with_token = SessionCommand {
        st: token,
        ..SessionCommand::default()
    };
    let mut again = Client::connect_to(program.address, "Amy", "lc.protobuf2.3").await;
    let opening = again.opening(with_token);
    let answered = again.ask_envelope(opening).await.command;
    assert!(matches!(answered, Command::Error(_)), "{answered:?}");

    let headers = "X-LC-Id: myApp\r\nX-LC-Key: myMasterKey,master\r\n";
    let path = "/1.2/rtm/chatrooms";
    let made = request(program.address, "POST", path, headers, r#"{"name":"hall"}"#).await;
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    let room = made["objectId"].as_str().unwrap();
    done(data, &["delete-conversation", room]);
    assert_eq!(admin(data, &["delete-conversation", room]).0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_errand_names_its_app_where_there_are_several() {
    let folder = tempfile::tempdir().unwrap();
    let second = ["--app", "second:secondKey:secondMaster"];
    let _program = Program::start_with(folder.path(), &second, Stdio::inherit());
    let errand = |of: &[&str]| admin(folder.path(), &[&second[..], of, &["stats"]].concat());
    let (code, said) = errand(&[]);
    assert!(code == Some(1) && said.contains("--of"), "{said}");
    assert_eq!(errand(&["--of", "second"]).0, Some(0));
    let (code, said) = errand(&["--of", "third"]);
    assert!(code == Some(1) && said.contains("no such app"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_is_refused_and_one_behind_a_proxy_counts_for_itself() {
    let app = "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
    let options = ServiceOptions {
        address_rate: Some(3),
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..ServiceOptions::on_loopback(app, StorageChoice::Memory)
    };
    let service = Service::start(options).await.unwrap();
    let path = "/v1/route?appId=myApp";
    for expected in [200, 200, 200, 429] {
        assert_eq!(get(service.addr(), path).await.status, expected);
    }
    let refused = get(service.addr(), path).await;
    assert!(
        refused.head.to_lowercase().contains("retry-after: 60"),
        "{}",
        refused.head
    );
    assert!(refused.body.contains(r#""code":429"#), "{}", refused.body);
    let headers = "X-Forwarded-For: 192.0.2.7\r\n";
    assert_eq!(
        request(service.addr(), "GET", path, headers, "")
            .await
            .status,
        200
    );
    assert_eq!(get(service.addr(), "/health").await.status, 200);
    service.stop().await;
}

//! The numbers and lines that an operator sees of a running service, and the secrets that nobody may see.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;

use sampan::wire::Command;
use sampan::wire::generated::SessionCommand;
use sampan_service::{RunningService, Service, ServiceOptions, StorageChoice};

use tokio::time::timeout;

use crate::client::{Client, PATIENCE, said};
use crate::http::{get, request};
use crate::program::Program;

/// A service with an address for its numbers.
async fn service_with_numbers(storage: StorageChoice) -> (RunningService, SocketAddr) {
    let app = "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
    let options = ServiceOptions {
        metrics: Some("127.0.0.1:0".parse().unwrap()),
        ..ServiceOptions::on_loopback(app, storage)
    };
    let service = Service::start(options).await.unwrap();
    let numbers = service.metrics_addr().unwrap();
    (service, numbers)
}

/// The value of a series, or 0 where it is not there yet.
pub(crate) async fn number(numbers: SocketAddr, series: &str) -> f64 {
    let text = get(numbers, "/metrics").await.body;
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_tell_connections_sessions_commands_messages_and_storage() {
    let folder = tempfile::tempdir().unwrap();
    let storage = StorageChoice::Folder(folder.path().to_owned());
    let (service, numbers) = service_with_numbers(storage).await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    for text in ["one", "two", "three"] {
        tom.say(&cid, text).await;
        jerry.message().await;
    }
    let code = tom.refused(Command::direct(said("nowhere", "four"))).await;
    // The core sends effects before it counts them: a later answer comes after both.
    tom.drain().await;
    let refused = format!(r#"sampan_commands_total{{command="direct",result="{code}"}}"#);
    for (series, expected) in [
        ("sampan_connections ", 2.0),
        ("sampan_connections_opened_total ", 2.0),
        ("sampan_sessions ", 2.0),
        (r#"sampan_clients_online{app="myApp"}"#, 2.0),
        (
            r#"sampan_commands_total{command="direct",result="ok"}"#,
            3.0,
        ),
        (
            r#"sampan_commands_total{command="conv/start",result="ok"}"#,
            1.0,
        ),
        (refused.as_str(), 1.0),
        (r#"sampan_command_seconds_count{command="direct"}"#, 4.0),
        ("sampan_messages_accepted_total ", 3.0),
        ("sampan_fanout_sessions_count ", 3.0),
        ("sampan_fanout_sessions_sum ", 3.0),
        ("sampan_storage_sound ", 1.0),
        ("sampan_queue_bytes ", 0.0),
    ] {
        let found = number(numbers, series).await;
        assert!((found - expected).abs() < 0.1, "{series}: {found}");
    }
    for series in [
        "sampan_commit_seconds_count ",
        "sampan_storage_bytes ",
        "sampan_storage_bytes_written_total ",
        "sampan_bytes_sent_total ",
        #[cfg(target_os = "linux")]
        "sampan_resident_bytes ",
    ] {
        assert!(number(numbers, series).await > 0.0, "{series}");
    }
    #[cfg(target_os = "linux")]
    {
        // Of this process: bytes and not pages or KiB, and the files and sockets of two clients at least.
        assert!(number(numbers, "sampan_resident_bytes ").await > 4e6);
        assert!(number(numbers, "sampan_open_files ").await > 6.0);
    }
    jerry.socket.close(None).await.unwrap();
    let left = async { while number(numbers, "sampan_connections ").await > 1.5 {} };
    timeout(PATIENCE, left).await.expect("the connection ends");
    // The core hears of the end a little later.
    let left = async { while number(numbers, "sampan_sessions ").await > 1.5 {} };
    timeout(PATIENCE, left).await.expect("the session ends");
    let online = number(numbers, r#"sampan_clients_online{app="myApp"}"#).await;
    assert!((online - 1.0).abs() < 0.1, "{online}");
    let gone = number(numbers, r#"sampan_connections_closed_total{reason="gone"}"#).await;
    assert!((gone - 1.0).abs() < 0.1, "{gone}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_in_the_format_that_prometheus_reads_and_not_on_the_clients_address() {
    let (service, numbers) = service_with_numbers(StorageChoice::Memory).await;
    let answer = get(numbers, "/metrics").await;
    assert_eq!(answer.status, 200);
    let head = answer.head.to_lowercase();
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(answer.body.ends_with("# EOF\n"));
    assert!(answer.body.contains("# TYPE sampan_connections gauge\n"));
    assert_eq!(get(service.addr(), "/metrics").await.status, 404);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_on_both_addresses() {
    let (service, numbers) = service_with_numbers(StorageChoice::Memory).await;
    for address in [service.addr(), numbers] {
        for (path, state) in [
            ("/health", "serving"),
            ("/health/ready", "serving"),
            ("/health/live", "live"),
        ] {
            let answer = get(address, path).await;
            assert_eq!(answer.status, 200, "{path}");
            let state = format!(r#""state":"{state}""#);
            assert!(answer.body.contains(&state), "{path}: {}", answer.body);
        }
    }
    service.stop().await;
}

/// The texts that a log must never have: keys, tokens, signatures, and people's words.
const NEVER: [&str; 6] = [
    "myKey",
    "myMasterKey",
    "account-session-text",
    "xylophone",
    "quokkaName",
    "forged-token-text",
];

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_ids_and_codes_and_never_words_keys_or_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let flags = ["--log", "trace", "--log-format", "json"];
    let log = Stdio::from(File::create(&file).unwrap());
    let mut program = Program::start_with(&folder.path().join("data"), &flags, log);
    let mut tom = Client::connect_to(program.address, "Tom", "lc.protobuf2.3").await;
    let token = tom.sign_in(SessionCommand::default()).await.st.unwrap();
    let cid = tom.start_named(&["Tom", "Jerry"], "quokkaName").await;
    tom.say(&cid, "xylophone").await;
    let code = tom
        .refused(Command::direct(said("nowhere", "xylophone")))
        .await;
    let mut mallory = Client::connect_to(program.address, "Mallory", "lc.protobuf2.3").await;
    let forged = SessionCommand {
        st: Some("forged-token-text".to_owned()),
        ..SessionCommand::default()
    };
    let opening = mallory.opening(forged);
    assert!(matches!(
        mallory.ask_envelope(opening).await.command,
        Command::Error(_)
    ));
    let headers = "X-LC-Id: myApp\r\nX-LC-Key: myKey\r\n";
    let path = "/1.2/rtm/clients/sign?session_token=account-session-text";
    assert_eq!(
        request(program.address, "GET", path, headers, "")
            .await
            .status,
        200
    );
    drop((tom, mallory));
    program.terminate();
    assert_eq!(program.exit_code(), Some(0));
    let log = std::fs::read_to_string(file).unwrap();
    for text in NEVER.into_iter().chain([token.as_str()]) {
        assert!(!log.contains(text), "{text} is in the log:\n{log}");
    }
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let has = |message: &str, key: &str, value: serde_json::Value| {
        let is = |line: &&serde_json::Value| line["message"] == message && line[key] == value;
        assert!(
            lines.iter().any(|line| is(&line)),
            "no {message} with {key} {value}:\n{log}"
        );
    };
    has("session opened", "client", "Tom".into());
    has("command refused", "code", code.into());
    has("command handled", "command", "conv/start".into());
    has("request answered", "path", "/1.2/rtm/clients/sign".into());
    has("stopped", "level", "INFO".into());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_level_of_the_log_changes_while_the_program_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let log = Stdio::from(File::create(&file).unwrap());
    let program = Program::start_with(&folder.path().join("data"), &[], log);
    let lines = |text: &str| {
        let log = std::fs::read_to_string(&file).unwrap();
        log.lines().filter(|line| line.contains(text)).count()
    };
    let said = "the level of the log has changed";
    Client::connect_to(program.address, "Tom", "lc.protobuf2.3")
        .await
        .drain()
        .await;
    assert_eq!(lines("connection opened"), 0);
    for (signal, changes, opened) in [("-USR1", 1, 1), ("-USR2", 2, 1)] {
        program.signal(signal);
        let changed = async {
            while lines(said) < changes {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, changed).await.expect("the level changes");
        Client::connect_to(program.address, "Tom", "lc.protobuf2.3")
            .await
            .drain()
            .await;
        assert_eq!(lines("connection opened"), opened, "{signal}");
    }
}

//! Memory: a client that does not take its answers costs a bounded sum, and a client that reads well is never
//! cut off.

use sampan::wire::Command;
use sampan::wire::generated::{DirectCommand, LogsCommand, SessionCommand};
use tokio_tungstenite::tungstenite::Message;

use crate::program::Program;
use crate::raw::{APP, Incoming, RawClient, message, refusal};
use crate::start;

/// How much more memory the service may hold during an attack of many connections.
const GROWTH_MAX_BYTES: u64 = 128 * 1024 * 1024;

#[track_caller]
fn assert_bounded(program: &Program, before: Option<u64>) {
    if let (Some(before), Some(after)) = (before, program.resident_bytes()) {
        let growth = after.saturating_sub(before);
        assert!(growth < GROWTH_MAX_BYTES, "it grew by {growth} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_before_any_login_ends_the_connection() {
    let service = start().await;
    let mut raw = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    for _ in 0..1_000 {
        // The service may close while pings are still being written.
        if raw
            .send_raw(Message::Ping(vec![7; 125].into()))
            .await
            .is_err()
        {
            break;
        }
    }
    assert!(matches!(raw.read().await, Incoming::Closed(_)));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_reader_that_sends_1500_messages_at_once_for_three_sessions_is_not_cut_off() {
    const MESSAGES: usize = 1_500;
    let service = start().await;
    let mut raw = RawClient::open(service.addr(), "Tom").await;
    for client in ["Jerry", "Spike"] {
        let opened = raw.sign_in(APP, client, SessionCommand::default()).await;
        assert_eq!(refusal(&opened.command), None);
    }
    let chat = raw.start(&["Tom", "Jerry", "Spike"]).await;
    for number in 0..MESSAGES {
        raw.send(message(&chat, &format!("number {number}"))).await;
    }
    let (mut accepted, mut heard) = (0, 0);
    while accepted < MESSAGES || heard < 2 * MESSAGES {
        match raw.read().await {
            Incoming::Command(envelope) => match envelope.command {
                Command::Ack(ack) => accepted += usize::from(ack.code.is_none()),
                Command::Direct(_) => heard += 1,
                _ => {}
            },
            Incoming::Closed(code) => panic!("cut off with {code:?} after {accepted}, {heard}"),
        }
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_clients_that_read_nothing_cost_a_bounded_sum() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut tom = RawClient::open(program.address, "Tom").await;
    let mut spikes = Vec::new();
    let names: Vec<String> = (0..60).map(|n| format!("spike{n}")).collect();
    for name in &names {
        spikes.push(RawClient::open(program.address, name).await);
    }
    let members: Vec<&str> = names.iter().map(String::as_str).chain(["Tom"]).collect();
    let chat = tom.start(&members).await;
    let before = program.resident_bytes();
    let flood = Command::direct(DirectCommand {
        cid: Some(chat.clone()),
        msg: Some("x".repeat(4_000)),
        transient: Some(true),
        ..DirectCommand::default()
    });
    for _ in 0..20 {
        for _ in 0..100 {
            tom.send(flood.clone()).await;
        }
        for _ in 0..100 {
            let ack = tom
                .wait_for(|command| matches!(command, Command::Ack(_)))
                .await;
            assert_eq!(refusal(&ack), None);
        }
        assert_bounded(&program, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_pages_of_history_that_nobody_reads_cost_a_bounded_sum() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut tom = RawClient::open(program.address, "Tom").await;
    let mut spike = RawClient::open(program.address, "Spike").await;
    let chat = spike.start(&["Tom", "Spike"]).await;
    for _ in 0..600 {
        spike.send(message(&chat, &"x".repeat(4_500))).await;
    }
    for _ in 0..600 {
        spike
            .wait_for(|command| matches!(command, Command::Ack(_)))
            .await;
    }
    let before = program.resident_bytes();
    for _ in 0..512 {
        let page = LogsCommand {
            cid: Some(chat.clone()),
            l: Some(1_000),
            ..LogsCommand::default()
        };
        spike.send(Command::logs(page)).await;
    }
    for _ in 0..20 {
        assert_eq!(refusal(&tom.say(&chat, "in time?").await), None);
        assert_bounded(&program, before);
    }
    // An asker that reads after all gets every page.
    let mut pages = 0;
    while pages < 20 {
        match spike.read().await {
            Incoming::Command(envelope) => {
                pages += usize::from(matches!(envelope.command, Command::Logs(_)));
            }
            Incoming::Closed(code) => panic!("cut off with {code:?} after {pages} pages"),
        }
    }
}

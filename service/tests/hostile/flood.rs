//! Too much of everything: others are served meanwhile, and memory stays bounded.

use std::net::SocketAddr;

use sampan::wire::Command;
use sampan::wire::generated::DirectCommand;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::program::Program;
use crate::raw::{RawClient, patiently, refusal};
use crate::start;

/// How much more memory the service may hold after a flood; less than was thrown at it.
const GROWTH_MAX_BYTES: u64 = 48 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_junk_frames_disturb_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let address = program.address;
    let mut tom = RawClient::open(address, "Tom").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    let before = program.resident_bytes();

    let junk = tokio::spawn(async move {
        let mut sent = 0_usize;
        while sent < 10_000 {
            let mut raw = RawClient::open(address, "Spike").await;
            // A connection that is closed for its junk comes back with more.
            while sent < 10_000
                && raw
                    .send_raw(Message::binary(junk_frame(sent)))
                    .await
                    .is_ok()
            {
                sent += 1;
            }
        }
        sent
    });
    let (mut told, mut meanwhile) = (0_usize, 0_usize);
    while !junk.is_finished() || told < 20 {
        assert_said(&mut tom, &chat).await;
        told += 1;
        meanwhile += usize::from(!junk.is_finished());
    }
    assert_eq!(junk.await.unwrap(), 10_000);
    assert!(meanwhile > 0, "nobody was served before the junk ended");
    assert_bounded(&program, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_slows_nobody_and_fills_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let address = program.address;
    let mut tom = RawClient::open(address, "Tom").await;
    let mut jerry = RawClient::open(address, "Jerry").await;
    let spike = RawClient::open(address, "Spike").await;
    let chat = tom.start(&["Tom", "Jerry", "Spike"]).await;
    let before = program.resident_bytes();

    // Spike never reads: about 80 MB would wait for him. They are transient, so that the
    // database's cache, which has a bound of its own, stays out of the sum.
    let flood = transient(&chat);
    for _ in 0..200 {
        for _ in 0..100 {
            tom.send(flood.clone()).await;
        }
        for _ in 0..100 {
            let ack = tom
                .wait_for(|command| matches!(command, Command::Ack(_)))
                .await;
            assert_eq!(refusal(&ack), None);
        }
        for _ in 0..100 {
            jerry
                .wait_for(|command| matches!(command, Command::Direct(_)))
                .await;
        }
    }
    assert_said(&mut tom, &chat).await;
    assert_bounded(&program, before);
    drop(spike);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_on_one_connection_are_not_taken() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let chat = tom.start(&["Tom"]).await;
    let mut raw = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    let mut refused = 0_usize;
    for number in 0..1000 {
        let client = format!("c{number}");
        let reply = raw
            .sign_in(crate::raw::APP, &client, Default::default())
            .await;
        refused += usize::from(refusal(&reply.command).is_some());
    }
    assert!(refused > 0, "every one of them was signed in");
    assert_said(&mut tom, &chat).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_http_and_requests_that_never_end_disturb_nobody() {
    let service = start().await;
    let address = service.addr();
    let mut tom = RawClient::open(address, "Tom").await;
    let chat = tom.start(&["Tom"]).await;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(half_a_request(address, b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: webs").await);
    }
    for bytes in [
        &b"\x00\xff\x16\x03\x01"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
    ] {
        let mut stream = half_a_request(address, bytes).await;
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Any answer is right, as long as it ends.
        let _ = patiently(stream.read_to_end(&mut answer)).await;
    }
    assert_said(&mut tom, &chat).await;
    drop(waiting);
    service.stop().await;
}

async fn half_a_request(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Says something, and is answered before this test gives up waiting. How soon that is,
/// `cargo xtask bench service-fair` tells.
async fn assert_said(client: &mut RawClient, conversation: &str) {
    let said = client.say(conversation, "is anybody there?").await;
    assert_eq!(refusal(&said), None);
}

/// A message of 4 KB that is delivered and not stored.
fn transient(conversation: &str) -> Command {
    Command::direct(DirectCommand {
        cid: Some(conversation.to_owned()),
        msg: Some("x".repeat(4000)),
        transient: Some(true),
        ..DirectCommand::default()
    })
}

/// Junk of several kinds: no protobuf, half a command, a command that needs a session, a heartbeat.
fn junk_frame(number: usize) -> Vec<u8> {
    match number % 4 {
        0 => vec![0xff; 64],
        1 => vec![0x08, 0x02, 0x28],
        2 => vec![0x08, 0x01, 0x10, 0x1f, 0x28, 0x01, 0xba, 0x06, 0x00],
        _ => vec![0x08, 0x0e, 0x28, 0x07],
    }
}

/// The service's memory may not have grown by the bytes that were thrown at it.
fn assert_bounded(program: &Program, before: Option<u64>) {
    let (Some(before), Some(after)) = (before, program.resident_bytes()) else {
        println!("SKIPPED: this system does not tell how much memory a program holds");
        return;
    };
    let growth = after.saturating_sub(before);
    assert!(
        growth < GROWTH_MAX_BYTES,
        "the service grew by {growth} bytes"
    );
}

//! A disk that is full, then has room again: nothing that was acknowledged is lost, the service says
//! how it is, and goes on by itself.

#[cfg(unix)]
use crate::http::health;
#[cfg(unix)]
use crate::program::Program;
#[cfg(target_os = "linux")]
use crate::raw::{Incoming, RawClient, message, patiently};
#[cfg(target_os = "linux")]
use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_that_has_room_again_ends_nothing() {
    use sampan::wire::Command;

    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_with_errors_for_large_files(folder.path());
    let mut tom = RawClient::open(program.address, "Tom").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    let size = std::fs::metadata(folder.path().join("sampan-service.redb"))
        .unwrap()
        .len();
    program.limit_files(Some(size));
    let mut acknowledged = 0_usize;
    let text = "x".repeat(4_000);
    let fills = async {
        loop {
            for _ in 0..20 {
                let sent = tom.send_or_end(message(&chat, &text)).await;
                if !sent {
                    return;
                }
            }
            for _ in 0..20 {
                match tom.read().await {
                    Incoming::Command(envelope) => {
                        let ack =
                            matches!(&envelope.command, Command::Ack(ack) if ack.code.is_none());
                        acknowledged += usize::from(ack);
                    }
                    Incoming::Closed(_) => return,
                }
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), fills)
        .await
        .expect("the disk gets full");
    let mut said = health(program.address).await;
    for _ in 0..200 {
        if said.0 == 503 {
            break;
        }
        said = health(program.address).await;
    }
    assert_eq!(said.0, 503, "{}", said.1);
    program.limit_files(None);
    let well = async {
        while health(program.address).await.0 != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), well)
        .await
        .expect("it works again by itself");
    let mut jerry = RawClient::open(program.address, "Jerry").await;
    let kept = jerry.history(&chat, 1_000).await.len();
    assert!(kept >= acknowledged, "{kept} of {acknowledged} are kept");
    assert!(acknowledged > 0);
    let more = RawClient::open(program.address, "Tom").await;
    drop(more);
}

#[cfg(unix)]
#[test]
fn the_data_are_readable_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let _program = Program::start(folder.path());
    let file = folder.path().join("sampan-service.redb");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn signals_that_ask_for_something_else_do_not_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path());
    for signal in ["-USR1", "-USR2", "-HUP"] {
        program.signal(signal);
        assert_eq!(health(program.address).await.0, 200, "{signal}");
    }
    program.terminate();
    assert_eq!(program.exit_code(), Some(0));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_closes_ends_what_was_started_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start_in_terminal(folder.path());
    assert_eq!(health(program.address).await.0, 200);
    // The terminal is gone with the program that shows it.
    program.kill();
    let address = program.address;
    patiently(async move { while TcpStream::connect(address).await.is_ok() {} }).await;
}

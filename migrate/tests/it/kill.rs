//! The program is killed at any request and started again: the archive holds what an unbroken run
//! saves, and no row twice; a service holds what an unbroken load gives it.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::fake::{APP, DAY, Dice, Fake, Fault, KEY, NOW, history};
use crate::load::{dump, lines, table};
use crate::service::service_on;
use crate::trouble::program;
use crate::{expected, options, raw_rows, rows, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_killed_at_any_request_goes_on_where_it_was() {
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let history = history(seed * 1001, 3000, 5);
        let fake = Fake::start(history.clone()).await;
        fake.world().page_cap = 40;
        let mut dice = Dice(seed * 13 + 5);
        let mut kills = 0;
        loop {
            let kill_at = 1 + dice.below(120);
            if run_until(&fake, folder.path(), kill_at).await {
                break;
            }
            kills += 1;
            assert!(kills < 200, "each run brings it on");
        }
        assert!(kills > 0);
        assert_eq!(
            rows(folder.path()),
            expected(&history),
            "seed {seed}, {kills} kills"
        );
        // A page that was on its way when the kill came is asked for again, and kept once.
        assert_eq!(raw_rows(folder.path()), 3000, "seed {seed}, {kills} kills");
    }
}

/// Runs the program until it ends, or until its request number `kill_at` is there, and kills it then. True if
/// the program ended by itself.
async fn run_until(fake: &Fake, archive: &Path, kill_at: u64) -> bool {
    let count = Arc::new(AtomicU64::new(0));
    let (reached, wait) = tokio::sync::oneshot::channel();
    let mut reached = Some(reached);
    fake.world().faults = Box::new(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        if number == kill_at {
            let _ = reached.take().unwrap().send(());
        }
        // A program that is about to be killed gets no more answers: the kill comes before or after one.
        (number > kill_at + 1).then_some(Fault::Silence)
    });
    let mut command = Command::from(program(fake, archive));
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    tokio::select! {
        status = child.wait() => {
            assert!(status.unwrap().success());
            true
        }
        _ = wait => {
            child.kill().await.unwrap();
            false
        }
    }
}

/// An archive of 3,000 messages, an export of conversations, and the flags that load them.
async fn sources(folder: &Path) -> Vec<String> {
    let fake = Fake::start(history(61, 3000, 5)).await;
    let archive = folder.join("archive");
    run(&fake, &options(&archive)).await.unwrap();
    let export = folder.join("_Conversation.0.jsonl");
    std::fs::write(&export, lines(&table(NOW - DAY, ""))).unwrap();
    let flags = [
        "load",
        "--app",
        APP,
        "--archive",
        archive.to_str().unwrap(),
        "--export",
    ];
    let mut flags: Vec<String> = flags.map(str::to_owned).into();
    flags.push(export.to_str().unwrap().to_owned());
    flags
}

fn load(flags: &[String], into: [&str; 2]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sampan-migrate"));
    command.args(flags).args(into).stdout(Stdio::null());
    command.env("SAMPAN_MASTER_KEY", KEY).kill_on_drop(true);
    command
}

async fn succeeds(mut command: Command) {
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), command.status()).await;
    assert!(ended.expect("loading ends").unwrap().success());
}

/// Passes bytes on to a service until request `kill_at`; then tells so. That request is passed on
/// if `is_passed`; its answer never is.
async fn stopping_at(
    service: std::net::SocketAddr,
    kill_at: usize,
    is_passed: bool,
) -> (String, tokio::sync::oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (reached, wait) = tokio::sync::oneshot::channel();
    let count = async move {
        // The program sends one request after the other, on one connection.
        let (mut program, _) = listener.accept().await.unwrap();
        let mut there = TcpStream::connect(service).await.unwrap();
        let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
        let mut requests = 0;
        let mut reached = Some(reached);
        loop {
            tokio::select! {
                read = program.read(&mut up) => {
                    let Ok(count @ 1..) = read else { return };
                    let begins = up[..count].starts_with(b"POST /");
                    requests += usize::from(begins);
                    if requests < kill_at || is_passed {
                        let _ = there.write_all(&up[..count]).await;
                    }
                    if requests == kill_at && !is_passed && let Some(reached) = reached.take() {
                        let _ = reached.send(());
                    }
                }
                read = there.read(&mut down) => {
                    let Ok(count @ 1..) = read else { return };
                    if requests < kill_at {
                        let _ = program.write_all(&down[..count]).await;
                    } else if let Some(reached) = reached.take() {
                        // The service has answered: it has loaded what the program never hears of.
                        let _ = reached.send(());
                    }
                }
            }
        }
    };
    tokio::spawn(count);
    (url, wait)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_into_a_service_killed_at_any_request_ends_with_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let flags = sources(folder.path()).await;
    let straight = folder.path().join("straight");
    succeeds(load(&flags, ["--data", straight.to_str().unwrap()])).await;
    let data = folder.path().join("data");
    let (service, url) = service_on(&data).await;
    for (kill_at, is_passed) in [(1, false), (1, true), (3, true), (5, false), (7, true)] {
        let (stopping, reached) = stopping_at(service.addr(), kill_at, is_passed).await;
        let mut program = load(&flags, ["--server", &stopping]).spawn().unwrap();
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), reached).await;
        waited.expect("the request comes").unwrap();
        program.kill().await.unwrap();
    }
    succeeds(load(&flags, ["--server", &url])).await;
    service.stop().await;
    assert_eq!(dump(&data).await, dump(&straight).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_into_a_folder_killed_at_any_moment_ends_with_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let flags = sources(folder.path()).await;
    let straight = folder.path().join("straight");
    succeeds(load(&flags, ["--data", straight.to_str().unwrap()])).await;
    let wanted = dump(&straight).await;
    for polls in [0, 50, 500, 5_000] {
        let data = folder.path().join(format!("data{polls}"));
        let mut program = load(&flags, ["--data", data.to_str().unwrap()])
            .spawn()
            .unwrap();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        while !data.join("sampan-service.redb").exists() {
            assert!(tokio::time::Instant::now() < deadline, "the file is made");
            tokio::task::yield_now().await;
        }
        for _ in 0..polls {
            let _ = std::fs::metadata(data.join("sampan-service.redb"));
        }
        program.kill().await.unwrap();
        succeeds(load(&flags, ["--data", data.to_str().unwrap()])).await;
        assert_eq!(dump(&data).await, wanted, "killed after {polls} looks");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_load_onto_a_full_disk_is_told_and_the_next_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let flags = sources(folder.path()).await;
    let (straight, data) = (folder.path().join("straight"), folder.path().join("data"));
    succeeds(load(&flags, ["--data", straight.to_str().unwrap()])).await;
    // A limit on the size of files fails as a full disk does, with the signal for it ignored.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 2500; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_sampan-migrate"))
        .args(&flags)
        .args(["--data", data.to_str().unwrap()]);
    let output = limited.output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let is_told = output.status.code() == Some(1) && told.contains("the disk is full");
    assert!(is_told, "{:?} {told}", output.status);
    succeeds(load(&flags, ["--data", data.to_str().unwrap()])).await;
    assert_eq!(dump(&data).await, dump(&straight).await);
}

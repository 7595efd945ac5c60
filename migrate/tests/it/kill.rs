//! The program is killed at any request and started again: the archive holds what an unbroken run
//! saves, and no row twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fake::{Dice, Fake, Fault, history};
use crate::trouble::program;
use crate::{expected, raw_rows, rows};

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
async fn run_until(fake: &Fake, archive: &std::path::Path, kill_at: u64) -> bool {
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
    let mut command = tokio::process::Command::from(program(fake, archive));
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
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

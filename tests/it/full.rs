//! A disk that is full: sends fail at once with a typed error, reads go on, and writing resumes by
//! itself when there is space again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sampan::SampanError;
use sampan::model::StoreHealth;

use crate::place::{Device, Place};

/// A small disk of its own, which is taken away on drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this process may not mount one.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "none"])
            .arg(at)
            .output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_path_buf()))
    }

    /// Leaves no byte free.
    fn fill(&self) {
        for size in [1 << 20, 4096, 1] {
            for number in 0.. {
                let file = self.0.join(format!("ballast-{size}-{number}"));
                if fs::write(file, vec![1; size]).is_err() {
                    break;
                }
            }
        }
    }

    fn empty(&self) {
        for entry in fs::read_dir(&self.0).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("ballast") {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// D03: on a real small disk.
#[tokio::test]
async fn on_a_full_disk_sends_fail_at_once_and_work_again_when_there_is_space() {
    let place = Place::new().await;
    let folder = place.folder.path().join("small");
    let Some(disk) = SmallDisk::mount(&folder) else {
        println!("SKIPPED: this process may not mount a small disk");
        return;
    };
    let mut config = place.config("unused");
    config.store_root = folder.join("phone");
    let ann = Device::open(config.clone(), "ann").await;
    ann.go_online().await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let talk = ann.service_id(&talk).await;
    ann.client.go_offline().unwrap();
    let conversation = ann.client.conversation(talk.clone()).unwrap();

    disk.fill();
    let mut said = vec!["ann: hello".to_owned()];
    // The journal has space of its own for a while: a message that it takes is promised.
    let refusal = loop {
        let words = format!("{} {}", said.len(), "x".repeat(2_000));
        match conversation.send_text(words.clone(), None).await {
            Ok(_) => said.push(format!("ann: {words}")),
            Err(refusal) => break refusal,
        }
    };
    assert!(
        matches!(refusal, SampanError::StoreUnavailable { .. }),
        "{refusal:?}"
    );
    assert!(refusal.is_retryable());
    assert!(matches!(
        ann.client.store_health(),
        StoreHealth::ReadOnly { .. }
    ));
    let again = conversation.send_text("still full".into(), None).await;
    assert!(matches!(again, Err(SampanError::StoreUnavailable { .. })));
    let promised = said.len() - 1;
    assert_eq!(
        ann.client.outbox().await.unwrap().len(),
        promised,
        "reads go on"
    );

    disk.empty();
    ann.until("a store that takes writes", || async {
        (ann.client.store_health() == StoreHealth::Good).then_some(())
    })
    .await;
    conversation
        .send_text("there is space".into(), None)
        .await
        .unwrap();
    said.push("ann: there is space".to_owned());
    ann.go_online().await;
    ann.has_sent_everything().await;
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    ben.until("all of it, once and in order", || async {
        let lines = ben.client.conversation(talk.clone()).ok()?;
        lines.fetch_older(100).await.ok()?;
        (ben.lines(&talk).await.ok()? == said).then_some(())
    })
    .await;
    assert!(!ann.client.open_report().found_damage);
    ann.engine.shutdown().await.unwrap();
}

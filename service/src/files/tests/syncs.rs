//! A stored file is durable before it has its name: seen from below the process, by a shim before the C library that
//! writes down each sync, rename and link that the system has done.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use axum::body::Bytes;
use sampan::model::AppId;

use crate::files::{AppFolder, BlobName, DiskFiles, FileId, FileStore as _, Part};

#[path = "../../../../tests/shim/syncs.rs"]
mod shim;

/// Names the folder for the process that is watched.
const FOLDER: &str = "SAMPAN_TEST_SYNC_FOLDER";

fn name(part: Part) -> BlobName {
    BlobName {
        app: AppFolder::of(&AppId::new("app").unwrap()),
        file: FileId::from_random([1; 12]),
        part,
    }
}

const BYTES: Part = Part::Bytes(7);

/// Run by the test below in a process of its own, under the shim.
#[tokio::test]
#[ignore = "the process that a test watches"]
async fn watched() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let mut log = OpenOptions::new()
        .append(true)
        .open(std::env::var(shim::LOG).unwrap())
        .unwrap();
    let store = DiskFiles::open(Path::new(&folder)).unwrap();
    let mut incoming = store.create(name(BYTES)).await.unwrap();
    incoming.write(Bytes::from_static(b"words")).await.unwrap();
    incoming.finish().await.unwrap();
    writeln!(log, "uploaded").unwrap();
    let record = Bytes::from_static(b"{}");
    assert!(store.claim(name(Part::Record), record).await.unwrap());
    writeln!(log, "claimed").unwrap();
}

#[test]
fn bytes_and_records_are_on_disk_before_they_have_names_and_their_names_before_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let Some(library) = shim::compiled(&root) else {
        return;
    };
    let (log, files) = (root.join("log"), root.join("files"));
    fs::write(&log, b"").unwrap();
    fs::create_dir(&files).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::tests::syncs::watched", "--ignored"])
        .env("LD_PRELOAD", &library)
        .env(FOLDER, &files)
        .env(shim::LOG, &log)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = fs::read_to_string(&log).unwrap();
    let (uploaded, rest) = log.split_once("uploaded\n").unwrap();
    let (claimed, _) = rest.split_once("claimed\n").unwrap();
    for (said, number, named, part) in [
        (uploaded, 0, "rename", BYTES),
        (claimed, 1, "link", Part::Record),
    ] {
        let (folder, file) = name(part).folder_and_file();
        let unnamed = files.join(format!("incoming/{number}.part"));
        let folder = files.join(folder);
        let steps = [
            format!("sync {}", unnamed.display()),
            format!(
                "{named} {} {}",
                unnamed.display(),
                folder.join(file).display()
            ),
            format!("sync {}", folder.display()),
        ];
        let mut lines = said.lines().map(str::trim);
        let all = steps.iter().all(|step| lines.any(|line| line == step));
        assert!(all, "{steps:?}\n{said}");
    }
}

//! The archive as a format that stays: an archive that an earlier build wrote is read, and any damage to its files is
//! noticed. `SAMPAN_REGENERATE=1` writes the fixture anew, which is due only with a new version of the format.

use std::path::{Path, PathBuf};

use sampan_migrate::archive::{Archive, read_segment};
use sampan_migrate::core::compare::Change;
use sampan_migrate::crawl::{CrawlOptions, damaged_attachments, index_lines};
use serde_json::json;

use crate::fake::{DAY, Dice, Fake, FakeRow, NOW, history};
use crate::trouble::verify;
use crate::{messages, options, run};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/archive-1");

/// A history of 200 messages with two attachments, an edit and a recall, read twice.
async fn make(archive: &Path) {
    let fake = Fake::start(history(53, 200, 5)).await;
    let url = fake.url.clone();
    for (index, path) in [(3, "/files/one"), (4, "/files/two")] {
        let file =
            json!({ "_lctype": -2, "_lcfile": { "url": format!("{url}{path}"), "objId": "f" } });
        fake.world().rows[index].data = file.to_string();
        let bytes = path.repeat(30).into_bytes();
        fake.world().files.insert(path.to_owned(), (200, bytes));
    }
    let first = CrawlOptions {
        attachments: Some(10_000),
        ..options(archive)
    };
    run(&fake, &first).await.unwrap();
    fake.world().now = NOW + DAY;
    fake.world().rows[7].data = json!({ "_lctype": -1, "_lctext": "edited" }).to_string();
    fake.world().rows[8].data = json!({ "_lctype": -127 }).to_string();
    let again = CrawlOptions {
        again: true,
        ..first
    };
    run(&fake, &again).await.unwrap();
}

/// The messages of an archive, a line each, in order.
fn lines(archive: &Path) -> String {
    let mut found = messages(archive);
    found.sort_by_key(|one| (one.latest.row.at, one.latest.row.id.clone()));
    let line = |one: &sampan_migrate::core::compare::Merged| {
        let row = &one.latest.row;
        let line = json!({
            "timestamp": row.at, "conversation": row.conversation, "msg-id": row.id, "from": row.from, "data": row.data,
        });
        format!("{line}\n")
    };
    found.iter().map(line).collect()
}

/// The files of an archive that hold what was saved, without the manifest and the index.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.retain(|path| !path.ends_with("manifest.json") && !path.ends_with("index.jsonl"));
    found.retain(|path| !path.ends_with("lock") && !path.ends_with("expected.jsonl"));
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
}

/// D14: an archive that an earlier build wrote is whole: each message, each file, and the changes in between.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_an_earlier_build_is_complete_and_says_so() {
    let fixture = Path::new(FIXTURE);
    let expected = fixture.join("expected.jsonl");
    if std::env::var_os("SAMPAN_REGENERATE").is_some() {
        let _ = std::fs::remove_dir_all(fixture);
        make(fixture).await;
        let _ = std::fs::remove_file(fixture.join("lock"));
        std::fs::write(&expected, lines(fixture)).unwrap();
    }
    // The program takes a lock, which would change the repository.
    let folder = tempfile::tempdir().unwrap();
    copy(fixture, folder.path());
    assert_eq!(
        lines(folder.path()),
        std::fs::read_to_string(expected).unwrap()
    );
    let changed: Vec<_> = messages(folder.path())
        .into_iter()
        .filter_map(|one| one.change)
        .collect();
    assert_eq!(changed.len(), 2);
    assert!(changed.contains(&Change::Edited) && changed.contains(&Change::Recalled));
    let manifest = Archive::read(folder.path()).unwrap();
    assert_eq!(manifest.pending, []);
    let attachments = index_lines(folder.path()).unwrap();
    assert_eq!(attachments.len(), 2);
    let saved = manifest.segments.len() + attachments.len();
    assert_eq!(files(folder.path()).len(), saved, "each file is named");
    let (code, told) = verify(folder.path(), &[]);
    assert_eq!(
        (code, told),
        (0, format!("{saved} files checked, 0 damaged\n"))
    );
}

/// D14: no byte of what was saved changes unnoticed, and the file that changed is named.
#[tokio::test(flavor = "multi_thread")]
async fn any_byte_that_changes_in_a_saved_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new(FIXTURE), folder.path());
    let manifest = Archive::read(folder.path()).unwrap();
    let is_whole = || {
        let mut segments = manifest.segments.iter();
        segments.all(|one| read_segment(folder.path(), one).is_ok())
            && damaged_attachments(folder.path()).unwrap().0.is_empty()
    };
    let mut dice = Dice(97);
    for path in files(folder.path()) {
        let whole = std::fs::read(&path).unwrap();
        for _ in 0..25 {
            let mut bytes = whole.clone();
            let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap();
            bytes[at] ^= 1 << dice.below(8);
            std::fs::write(&path, bytes).unwrap();
            assert!(!is_whole(), "byte {at} of {}", path.display());
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(!is_whole(), "{} is shorter", path.display());
        std::fs::remove_file(&path).unwrap();
        assert!(!is_whole(), "{} is missing", path.display());
        std::fs::write(&path, &whole).unwrap();
        assert!(is_whole());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_attachment_is_told_set_aside_and_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(Vec::new()).await;
    let file = json!({ "_lctype": -2, "_lcfile": { "url": format!("{}/files/one", fake.url), "objId": "f" } });
    let row = FakeRow {
        data: file.to_string(),
        ..history(3, 1, 1).remove(0)
    };
    fake.world().rows = vec![row];
    let picture = (200, b"picture".to_vec());
    fake.world().files.insert("/files/one".to_owned(), picture);
    let crawl = CrawlOptions {
        attachments: Some(1000),
        ..options(folder.path())
    };
    run(&fake, &crawl).await.unwrap();
    let path = files(&folder.path().join("attachments")).remove(0);
    std::fs::write(&path, b"pictURe").unwrap();
    let (code, told) = verify(folder.path(), &[]);
    assert!(code == 3 && told.contains("/files/one"), "{told}");
    assert_eq!(
        std::fs::read(&path).unwrap(),
        b"pictURe",
        "nothing was touched"
    );
    assert_eq!(verify(folder.path(), &["--repair"]).0, 3);
    assert!(!path.exists());
    let fetched = run(&fake, &crawl).await.unwrap().attachments.unwrap();
    assert_eq!((fetched.kept, fetched.failed), (1, 0));
    assert_eq!(std::fs::read(&path).unwrap(), b"picture");
    assert_eq!(verify(folder.path(), &[]).0, 0);
}

//! Files that are damaged, cut off, empty, gone, or something else; stopping; how long it takes.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

use proptest::prelude::*;
use sampan_legacy::{LegacyError, Source};

use crate::{Phone, read, swift};

const ROWS: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS)
    INSERT INTO message SELECT 'tea', 1000 * i, 'm' || i, 'ann',
        '{\"_lctype\":-1,\"_lctext\":\"message ' || i || ' has some words, and some more\"}',
        0, NULL, NULL, NULL, NULL, NULL, 2, 0 FROM n;";

fn phone_with(rows: u32) -> Phone {
    let phone = Phone::with(swift::SCHEMA);
    phone.does(&ROWS.replace("ROWS", &rows.to_string()));
    phone
}

#[test]
fn a_file_that_is_no_database_and_one_that_is_gone_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    assert!(matches!(read(&path), Err(LegacyError::Io { .. })));
    std::fs::write(
        &path,
        "this is a letter, and no database at all. ".repeat(100),
    )
    .unwrap();
    assert!(matches!(read(&path), Err(LegacyError::NoDatabase { .. })));
}

/// The rows before a damaged page and behind it are read, and the damage is told.
#[test]
fn rows_on_both_sides_of_a_damaged_page_are_read() {
    let phone = phone_with(5000);
    let whole = phone.reads().messages.len();
    assert_eq!(whole, 5000);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(phone.path())
        .unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    file.seek(SeekFrom::Start(pages / 3 * 4096)).unwrap();
    file.write_all(&[0xaa; 4096]).unwrap();
    drop(file);
    let cache = read(&phone.path()).unwrap();
    assert!(!cache.damage.is_empty(), "the damage is told");
    let times: Vec<i64> = cache
        .messages
        .iter()
        .map(|message| message.place.at)
        .collect();
    assert!(
        times.first() == Some(&1000) && times.last() == Some(&5_000_000),
        "both ends are read"
    );
    assert!(
        times.len() > 4500 && times.len() < 5000,
        "{} rows",
        times.len()
    );
}

#[test]
fn a_watcher_may_stop_it() {
    let phone = phone_with(2000);
    let scratch = tempfile::tempdir().unwrap();
    let path = phone.path();
    let source = Source {
        path: &path,
        scratch: scratch.path(),
        client: "ann",
        app: "my-app",
    };
    let mut seen = Vec::new();
    let stopped = sampan_legacy::read(&source, &mut |rows, all| {
        seen.push((rows, all));
        if rows >= 1000 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(stopped, Err(LegacyError::Stopped)));
    assert_eq!(seen, [(0, 2000), (500, 2000), (1000, 2000)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_damage_gives_a_cache_or_an_error(place in 0_u64..40_960, bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
        let phone = phone_with(200);
        let mut file = std::fs::OpenOptions::new().write(true).open(phone.path()).unwrap();
        file.seek(SeekFrom::Start(place)).unwrap();
        file.write_all(&bytes).unwrap();
        drop(file);
        let cut = tempfile::NamedTempFile::new().unwrap();
        std::fs::copy(phone.path(), cut.path()).unwrap();
        let _ = read(Path::new(cut.path()));
    }
}

//! Services that fail, keys that are wrong, archives that are damaged, disks that are full.

use std::path::Path;
use std::time::Duration;

use crate::fake::{APP, Dice, Fake, Fault, KEY, history};
use crate::{expected, options, raw_rows, rows, run, server_as};
use sampan_migrate::archive::{Archive, ArchiveError, Manifest};
use sampan_migrate::crawl::{CrawlError, CrawlOptions, Progress};
use sampan_migrate::http::Fatal;
use sampan_service::storage::RedbStorage;

/// The program with the flags that tests need.
pub(crate) fn program(fake: &Fake, archive: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sampan-migrate"));
    command
        .env("SAMPAN_MASTER_KEY", KEY)
        .args(["crawl", "--server", &fake.url, "--app", APP]);
    command.args(["--archive".as_ref(), archive.as_os_str()]);
    command.args([
        "--no-tables",
        "--check",
        "0",
        "--retry-wait",
        "1ms",
        "--cool-down",
        "20ms",
    ]);
    command.args(["--start-rate", "6000000", "--max-rate", "6000000"]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_in_every_way_costs_time_and_no_message() {
    for seed in 1..=6 {
        let folder = tempfile::tempdir().unwrap();
        let history = history(seed, 1500, 4);
        let fake = Fake::start(history.clone()).await;
        let mut dice = Dice(seed * 77 + 1);
        fake.world().faults = Box::new(move |_| {
            let faults = [
                Fault::Status(500),
                Fault::Status(503),
                Fault::Truncated,
                Fault::CutJson,
                Fault::Closed,
                Fault::Status(429),
            ];
            let pick = usize::try_from(dice.below(24)).unwrap();
            faults.get(pick).copied()
        });
        fake.world().page_cap = 60;
        let report = run(&fake, &options(folder.path())).await.unwrap();
        assert_eq!(report.left, 0, "{:?}", report.failed);
        assert!(report.troubles > 0);
        assert_eq!(rows(folder.path()), expected(&history), "seed {seed}");
        assert_eq!(raw_rows(folder.path()), 1500, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(4, 100, 2);
    let fake = Fake::start(history.clone()).await;
    fake.world().faults = Box::new(|number| (number % 100 == 3).then_some(Fault::Silence));
    let mut server = server_as(&fake, APP, KEY);
    server = server.with_timeout(Duration::from_millis(300));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let options = options(folder.path());
    let progress = Progress::hidden();
    let crawl = sampan_migrate::crawl::run(server, &options, &progress, stopped);
    let report = tokio::time::timeout(Duration::from_secs(60), crawl)
        .await
        .unwrap()
        .unwrap();
    assert!(report.troubles > 0);
    assert_eq!(rows(folder.path()), expected(&history));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_found_and_kept_to() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(9, 300, 3);
    let fake = Fake::start(history.clone()).await;
    let block = Duration::from_millis(40);
    fake.world().limit = Some((20, block));
    fake.world().page_cap = 3;
    let options = CrawlOptions {
        limits: sampan_migrate::core::pace::Limits {
            start: 6e6,
            ceiling: 6e6,
            cool_down: block * 2,
        },
        ..options(folder.path())
    };
    run(&fake, &options).await.unwrap();
    assert_eq!(rows(folder.path()), expected(&history));
    let (asked, refusals) = (fake.requests(), fake.world().refusals);
    assert!(
        refusals > 0 && (refusals as usize) < asked / 4,
        "{refusals} refusals for {asked} answers"
    );
}

/// The part of two seconds in which a crawler that was told to wait for so long surely knows it.
const PAUSE: std::ops::Range<Duration> = Duration::from_millis(1_000)..Duration::from_millis(1_950);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_for_as_long_as_the_service_says() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(15, 400, 3);
    let fake = Fake::start(history.clone()).await;
    fake.world().page_cap = 40;
    let refused = std::sync::Arc::new(std::sync::Mutex::new((None, 0)));
    let noted = std::sync::Arc::clone(&refused);
    fake.world().faults = Box::new(move |number| {
        let mut noted = noted.lock().unwrap();
        if number == 3 {
            noted.0 = Some(tokio::time::Instant::now());
            return Some(Fault::RetryAfter(2));
        }
        // Requests of the first second may have left before the answer came: they are no sign of impatience.
        let is_early = noted.0.is_some_and(|at| PAUSE.contains(&at.elapsed()));
        noted.1 += u32::from(is_early);
        None
    });
    let report = run(&fake, &options(folder.path())).await.unwrap();
    assert_eq!(report.left, 0);
    let (at, early) = *refused.lock().unwrap();
    assert!(at.unwrap().elapsed() >= PAUSE.end);
    assert_eq!(early, 0, "asked before the time was over");
    assert_eq!(rows(folder.path()), expected(&history));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_never_comes_is_left_for_the_next_run_and_all_others_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(21, 800, 6);
    let fake = Fake::start(history.clone()).await;
    let mut bad = 0;
    fake.world().faults = Box::new(move |number| {
        // After the eighth request, two in a row fail.
        bad += u32::from(number > 8 && bad < 3);
        (number > 8 && bad < 3).then_some(Fault::Status(500))
    });
    let impatient = CrawlOptions {
        tries: 1,
        ..options(folder.path())
    };
    let report = run(&fake, &impatient).await.unwrap();
    assert!(report.left > 0 && !report.failed.is_empty());
    run(&fake, &impatient).await.unwrap();
    assert_eq!(rows(folder.path()), expected(&history));
    let left = Archive::read(folder.path()).unwrap().pending.len();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_an_app_that_is_gone_are_told_and_touch_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(2, 50, 2);
    let fake = Fake::start(history.clone()).await;
    run(&fake, &options(folder.path())).await.unwrap();
    let failed = |key: &'static str, app: &'static str, fake: Fake, folder: std::path::PathBuf| async move {
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let options = options(&folder);
        let server = server_as(&fake, app, key);
        sampan_migrate::crawl::run(server, &options, &Progress::hidden(), stopped)
            .await
            .unwrap_err()
    };
    let path = folder.path().to_owned();
    let error = failed("wrongButSecret", APP, fake.clone(), path.clone()).await;
    assert!(
        matches!(error, CrawlError::Fatal(Fatal::WrongKey(_))),
        "{error}"
    );
    assert!(!error.to_string().contains("wrongButSecret"), "{error}");
    let error = failed(KEY, "otherApp", fake.clone(), path.clone()).await;
    assert!(
        matches!(error, CrawlError::Archive(ArchiveError::OtherApp { .. })),
        "{error}"
    );
    fake.world().is_gone = true;
    let error = failed(KEY, APP, fake.clone(), path.clone()).await;
    assert!(
        matches!(error, CrawlError::Fatal(Fatal::AppGone(_))),
        "{error}"
    );
    assert_eq!(rows(&path), expected(&history));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_other_things_is_not_taken_for_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letters.txt"), "dear").unwrap();
    let fake = Fake::start(Vec::new()).await;
    let error = run(&fake, &options(folder.path())).await.unwrap_err();
    assert!(
        matches!(error, CrawlError::Archive(ArchiveError::NoArchive(_))),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_crawls_do_not_write_into_one_archive() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(Vec::new()).await;
    run(&fake, &options(folder.path())).await.unwrap();
    let manifest = Archive::read(folder.path()).unwrap();
    let open = Archive::open(folder.path(), &manifest).unwrap();
    let error = run(&fake, &options(folder.path())).await.unwrap_err();
    assert!(
        matches!(error, CrawlError::Archive(ArchiveError::InUse(_))),
        "{error}"
    );
    drop(open);
    run(&fake, &options(folder.path())).await.unwrap();
}

/// Changes one byte in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(path, bytes).unwrap();
}

fn segment_paths(archive: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(archive.join("pages")).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
}

pub(crate) fn verify(archive: &Path, flags: &[&str]) -> (i32, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sampan-migrate"));
    let output = command
        .arg("verify")
        .arg(archive)
        .args(flags)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_is_told_set_aside_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(31, 900, 3);
    let fake = Fake::start(history.clone()).await;
    run(&fake, &options(folder.path())).await.unwrap();
    let paths = segment_paths(folder.path());
    assert_eq!(verify(folder.path(), &[]).0, 0);
    damage(&paths[paths.len() - 1]);
    let (code, told) = verify(folder.path(), &[]);
    assert!(code == 3 && told.contains("1 damaged"), "{told}");
    assert_eq!(verify(folder.path(), &["--repair"]).0, 3);
    run(&fake, &options(folder.path())).await.unwrap();
    assert_eq!(verify(folder.path(), &[]).0, 0);
    assert_eq!(rows(folder.path()), expected(&history));
    assert_eq!(
        std::fs::read_dir(folder.path().join("damaged"))
            .unwrap()
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_missing_is_read_again_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(33, 900, 3);
    let fake = Fake::start(history.clone()).await;
    run(&fake, &options(folder.path())).await.unwrap();
    std::fs::remove_file(segment_paths(folder.path()).last().unwrap()).unwrap();
    let report = run(&fake, &options(folder.path())).await.unwrap();
    assert_eq!(report.recovered.again, 1);
    assert_eq!(rows(folder.path()), expected(&history));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_manifest_is_made_anew_from_the_pages() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(35, 400, 3);
    let fake = Fake::start(history.clone()).await;
    run(&fake, &options(folder.path())).await.unwrap();
    let path = folder.path().join("manifest.json");
    std::fs::write(&path, b"{\"format\":\"sampan-arch").unwrap();
    let error = run(&fake, &options(folder.path())).await.unwrap_err();
    assert!(
        matches!(error, CrawlError::Archive(ArchiveError::Manifest { .. })),
        "{error}"
    );
    assert_eq!(verify(folder.path(), &["--repair"]).0, 3);
    assert_eq!(
        rows(folder.path()),
        expected(&history),
        "the pages are there at once"
    );
    run(&fake, &options(folder.path())).await.unwrap();
    assert_eq!(rows(folder.path()), expected(&history));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_a_later_format_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(Vec::new()).await;
    run(&fake, &options(folder.path())).await.unwrap();
    let path = folder.path().join("manifest.json");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"version\": 1", "\"version\": 2");
    std::fs::write(&path, &text).unwrap();
    let error = run(&fake, &options(folder.path())).await.unwrap_err();
    assert!(
        matches!(
            error,
            CrawlError::Archive(ArchiveError::NewerFormat { found: 2 })
        ),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_next_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(41, 8000, 2);
    let fake = Fake::start(history.clone()).await;
    let crawl = program(&fake, folder.path());
    // A limit on the size of files fails as a full disk does, with the signal for it ignored.
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\""])
        .arg(crawl.get_program())
        .args(crawl.get_args());
    let limited = limited.env("SAMPAN_MASTER_KEY", KEY);
    let output = tokio::task::block_in_place(|| limited.output().unwrap());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && told.contains("the disk is full"),
        "{told}"
    );
    assert!(!told.contains(KEY));
    let report = run(&fake, &options(folder.path())).await.unwrap();
    assert_eq!(rows(folder.path()), expected(&history));
    assert!(report.recovered.pages > 0 || raw_rows(folder.path()) == 8000);
}

/// A newcomer's first mistakes: each is told in words that say what to do, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_mistakes_are_told_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(2, 50, 2)).await;
    let says = |flags: Vec<String>, key: &str| {
        let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_sampan-migrate"));
        program
            .args(flags)
            .env("SAMPAN_MASTER_KEY", key)
            .current_dir(folder.path());
        async move {
            let output = program.output().await.unwrap();
            (
                output.status.code(),
                String::from_utf8(output.stderr).unwrap(),
            )
        }
    };
    let crawl = |server: &str, app: &str| {
        let flags = [
            "crawl",
            "--server",
            server,
            "--app",
            app,
            "--archive",
            "new",
            "--tries",
            "2",
        ];
        let quick = ["--retry-wait", "1ms"];
        flags
            .iter()
            .chain(&quick)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let flags = |flags: &[&str]| flags.iter().map(ToString::to_string).collect::<Vec<_>>();
    let nobody = "http://127.0.0.1:9";
    let data = folder.path().join("data");
    let storage = RedbStorage::open_folder(&data).unwrap();
    run(&fake, &options(&folder.path().join("saved")))
        .await
        .unwrap();
    let told = [
        (crawl(&fake.url, APP), "wrong", 1, "*master* key"),
        (crawl(nobody, APP), KEY, 1, nobody),
        (crawl("api.example.com", APP), KEY, 1, "https://HOST"),
        (crawl(&fake.url, APP), "", 1, "does not hold a master key"),
        (
            flags(&["load", "--data", "d", "--app", APP]),
            KEY,
            2,
            "--archive",
        ),
        (
            flags(&["load", "--archive", "new", "--data", "d", "--app", APP]),
            KEY,
            1,
            "missing or empty",
        ),
        (flags(&["status", "new"]), KEY, 1, "missing or empty"),
        (
            flags(&["load", "--archive", "saved", "--data", "data", "--app", APP]),
            KEY,
            1,
            "stop the service",
        ),
    ];
    for (flags, key, code, words) in told {
        let (ended, said) = says(flags.clone(), key).await;
        assert_eq!(ended, Some(code), "{flags:?}: {said}");
        assert!(said.contains(words), "{flags:?}: {said}");
    }
    drop(storage);
    assert!(!folder.path().join("new").exists() && !folder.path().join("d").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_another_app_are_set_aside_and_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(2, 50, 2)).await;
    let theirs = folder.path().join("theirs");
    run(&fake, &options(&theirs)).await.unwrap();
    for (app, taken) in [(APP, true), ("otherApp", false)] {
        let own = folder.path().join(app);
        let fresh = Manifest::new(app, "https://a.example", 0, false);
        drop(Archive::open(&own, &fresh).unwrap());
        std::fs::copy(&segment_paths(&theirs)[0], own.join("pages/000001.part")).unwrap();
        let (_, recovered) = Archive::open(&own, &fresh).unwrap();
        assert_eq!(recovered.pages > 0, taken, "{app}: {recovered:?}");
        assert_eq!(
            recovered.set_aside.is_empty(),
            taken,
            "{app}: {recovered:?}"
        );
    }
}

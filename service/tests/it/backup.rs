//! Backups while the service runs, and the way back from them.
#![cfg(unix)]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};

use sampan::wire::Command;
use sampan::wire::generated::{LogsCommand, SessionCommand};
use serde_json::json;

use crate::client::{Client, said};
use crate::files::{path_of, uploaded};
use crate::http::request;
use crate::program::Program;

/// Runs a tool until it ends.
fn tool(arguments: &[&Path]) -> Output {
    let mut program = Process::new(env!("CARGO_BIN_EXE_sampan-service"));
    program.args(arguments).output().unwrap()
}

#[track_caller]
fn succeeds(arguments: &[&Path]) -> String {
    let output = tool(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(arguments: &[&Path], word: &str) {
    let output = tool(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(word), "no {word} in: {error}");
}

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// The texts of a conversation, oldest first.
async fn texts(client: &mut Client, cid: &str) -> Vec<String> {
    let body = LogsCommand {
        cid: Some(cid.to_owned()),
        l: Some(1000),
        ..LogsCommand::default()
    };
    let Command::Logs(body) = client.ask(Command::logs(body)).await else {
        panic!("no history")
    };
    body.logs.into_iter().filter_map(|item| item.data).collect()
}

async fn sign_in(program: &Program, name: &str) -> Client {
    let mut client = Client::connect_to(program.address, name, "lc.protobuf2.3").await;
    client.sign_in(SessionCommand::default()).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_traffic_is_one_moment_and_brings_a_service_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let program = Program::start(&data);
    let mut tom = sign_in(&program, "Tom").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    for number in 0..50 {
        tom.say(&cid, &format!("{number}")).await;
    }
    // Tom goes on for as long as the copy is made.
    let (data_too, copy_too) = (data.clone(), copy.clone());
    let backup = tokio::task::spawn_blocking(move || {
        succeeds(&[path("backup"), path("--data"), &data_too, &copy_too])
    });
    let mut sent = 50;
    while !backup.is_finished() || sent < 100 {
        tom.say(&cid, &format!("{sent}")).await;
        sent += 1;
        assert!(sent < 100_000, "the backup does not end");
    }
    backup.await.unwrap();
    assert!(succeeds(&[path("restore"), path("--check"), &copy]).contains("whole"));
    drop(program);

    let restored = folder.path().join("restored");
    succeeds(&[path("restore"), &copy, path("--data"), &restored]);
    let program = Program::start(&restored);
    let mut jerry = sign_in(&program, "Jerry").await;
    let kept = texts(&mut jerry, &cid).await;
    assert!(
        (50..=sent).contains(&kept.len()),
        "{} of {sent}",
        kept.len()
    );
    let expected: Vec<String> = (0..kept.len()).map(|number| number.to_string()).collect();
    assert_eq!(kept, expected, "a backup has all messages up to one moment");
    let mut tom = sign_in(&program, "Tom").await;
    tom.say(&cid, "again").await;
    assert_eq!(jerry.message().await.msg.as_deref(), Some("again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_of_a_stopped_service_and_never_over_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    fails(
        &[path("backup"), path("--data"), &data, &copy],
        "has no data",
    );
    let mut program = Program::start(&data);
    let mode = std::fs::metadata(data.join("operator"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "others reach the tools' socket");
    let mut tom = sign_in(&program, "Tom").await;
    let cid = tom.start(&["Tom"]).await;
    tom.say(&cid, "one").await;
    program.kill();
    succeeds(&[path("backup"), path("--data"), &data, &copy]);
    fails(
        &[path("backup"), path("--data"), &data, &copy],
        "holds data already",
    );
    fails(
        &[path("restore"), &copy, path("--data"), &data],
        "holds data already",
    );
    let program = Program::start(&data);
    fails(
        &[path("backup"), path("--data"), &data, &copy],
        "holds data already",
    );
    assert_eq!(
        sign_in(&program, "Tom")
            .await
            .refused(Command::direct(said("x", "y")))
            .await,
        4401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_changed_is_not_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let program = Program::start(&data);
    let mut tom = sign_in(&program, "Tom").await;
    let cid = tom.start(&["Tom"]).await;
    tom.say(&cid, "xylophone").await;
    succeeds(&[path("backup"), path("--data"), &data, &copy]);
    let file = copy.join("sampan-service.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(9).position(|it| it == b"xylophone").unwrap();
    bytes[at] = b'X';
    std::fs::write(&file, &bytes).unwrap();
    fails(&[path("restore"), path("--check"), &copy], "damaged");
    let restored = folder.path().join("restored");
    fails(
        &[path("restore"), &copy, path("--data"), &restored],
        "damaged",
    );
    assert!(!restored.join("sampan-service.redb").exists());
    std::fs::remove_file(copy.join("backup.json")).unwrap();
    fails(
        &[path("restore"), path("--check"), &copy],
        "no whole backup",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn data_in_use_is_neither_checked_nor_salvaged_and_no_folder_is_left_of_the_try() {
    let folder = tempfile::tempdir().unwrap();
    let (data, saved) = (folder.path().join("data"), folder.path().join("saved"));
    let mut program = Program::start(&data);
    let in_use = "another process uses this data";
    fails(&[path("check"), &data], in_use);
    let salvage = [path("salvage"), &data, path("--into"), &saved];
    fails(&salvage, in_use);
    assert!(!saved.exists());
    program.terminate();
    assert_eq!(program.exit_code(), Some(0));
    assert!(succeeds(&[path("check"), &data]).contains("whole"));
    assert!(succeeds(&salvage).contains("whole"));
}

/// The paths of all bytes of files below a folder, in order.
fn bytes_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("files")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_bytes = path.extension().is_some_and(|ending| ending == "bytes");
            match path.is_dir() {
                true => folders.push(path),
                false if is_bytes => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

fn file_number(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_the_files_links_those_of_an_earlier_one_and_brings_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |name: &str| folder.path().join(name);
    let (data, monday, tuesday) = (in_folder("data"), in_folder("monday"), in_folder("tuesday"));
    let program = Program::start(&data);
    let about = json!({"name": "a.txt", "key": "a.txt", "mime_type": "text/plain"});
    let first = uploaded(program.address, &about, "the first file").await;
    succeeds(&[path("backup"), path("--data"), &data, &monday]);
    let second = uploaded(program.address, &about, "the second file").await;
    let (backup, flag, since) = (path("backup"), path("--data"), path("--since"));
    fails(
        &[backup, flag, &data, &tuesday, since, &data],
        "no whole backup",
    );
    assert!(!tuesday.exists(), "a try that failed leaves a folder");
    succeeds(&[backup, flag, &data, &tuesday, since, &monday]);
    let (old, new) = (bytes_in(&monday), bytes_in(&tuesday));
    assert_eq!((old.len(), new.len()), (1, 2));
    let linked = |path: &&PathBuf| file_number(path) == file_number(&old[0]);
    assert_eq!(
        new.iter().filter(linked).count(),
        1,
        "the first file alone is linked"
    );
    drop(program);

    // The earlier one may go.
    std::fs::remove_dir_all(&monday).unwrap();
    let check = [path("restore"), path("--check"), &tuesday];
    assert!(succeeds(&check).contains("4 files and records"));
    let restored = in_folder("restored");
    let restore = [path("restore"), &tuesday, path("--data"), &restored];
    succeeds(&restore);
    let program = Program::start(&restored);
    for (asked, text) in [(first, "the first file"), (second, "the second file")] {
        let answer = request(program.address, "GET", &path_of(&asked["url"]), "", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, text));
    }
    drop(program);

    // Each damage is named, and nothing of it is brought back.
    std::fs::remove_dir_all(&restored).unwrap();
    std::fs::write(&new[1], "the sEcond file").unwrap();
    fails(&check, "is missing or has changed");
    fails(&restore, "is missing or has changed");
    assert!(!restored.exists());
    std::fs::remove_file(&new[1]).unwrap();
    fails(&check, "is missing or has changed");
    let list = tuesday.join("files.sha256");
    let less = std::fs::read_to_string(&list).unwrap();
    let less: Vec<_> = less.lines().filter(|it| !it.contains(".bytes")).collect();
    std::fs::write(
        &list,
        less.join(
            "
",
        ),
    )
    .unwrap();
    fails(&check, "the list of files");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_changed_are_found_by_check_and_come_along_when_data_is_salvaged() {
    let folder = tempfile::tempdir().unwrap();
    let (data, saved) = (folder.path().join("data"), folder.path().join("saved"));
    let mut program = Program::start(&data);
    let about = json!({"name": "a.txt", "key": "a.txt", "mime_type": "text/plain"});
    let asked = uploaded(program.address, &about, "a file of a client").await;
    program.terminate();
    assert_eq!(program.exit_code(), Some(0));
    assert!(succeeds(&[path("check"), &data]).contains("1 files"));
    succeeds(&[path("salvage"), &data, path("--into"), &saved]);
    std::fs::write(&bytes_in(&data)[0], "A file of a client").unwrap();
    fails(&[path("check"), &data], "is missing or has changed");
    drop(program);

    let program = Program::start(&saved);
    let answer = request(program.address, "GET", &path_of(&asked["url"]), "", "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "a file of a client")
    );
}

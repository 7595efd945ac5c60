//! Files of messages on their way to this device.

use std::path::PathBuf;
use std::sync::Arc;

use md5::Digest as _;
use sampan::model::{Count, Json, MediaFile, MediaSource, NewMedia};
use sampan::views::{DownloadFailure, DownloadPhase, Version};
use sampan::{ClientOptions, Download, Engine, SampanError, Secret};

use crate::file_host::{FileHost, Trouble};
use crate::place::{Device, Place, id, in_time};

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn file_at(url: String, size: Option<u64>) -> MediaFile {
    MediaFile {
        name: Some("cat.png".to_owned()),
        size,
        ..MediaFile::at(url)
    }
}

async fn file(download: &Download) -> Result<PathBuf, SampanError> {
    in_time("a file", download.file()).await
}

/// The `Range` of each request.
fn ranges(host: &FileHost) -> Vec<Option<String>> {
    let requests = &host.state().requests;
    requests.iter().map(|(_, range)| range.clone()).collect()
}

async fn failure(download: &Download) -> DownloadFailure {
    let mut have = Version::NONE;
    loop {
        let state = in_time("a failure", download.next(have))
            .await
            .unwrap()
            .unwrap();
        have = state.version;
        if let DownloadPhase::Failed { failure } = state.phase {
            return failure;
        }
    }
}

/// A broken download goes on where it broke, ends with the bytes of the host, and is not asked for again.
#[tokio::test]
async fn a_download_that_breaks_asks_for_the_rest_and_then_for_nothing() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let content = bytes(400_000);
    let url = host.put("cat", &content);
    host.fail("/get/cat", Trouble::BreaksAfter(150_000));
    let download = ann
        .client
        .download(file_at(url.clone(), Some(400_000)))
        .unwrap();
    let path = file(&download).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!(path.extension().unwrap(), "png");
    let ranges: Vec<_> = host
        .state()
        .requests
        .iter()
        .map(|(_, range)| range.clone())
        .collect();
    assert_eq!(ranges, [None, Some("bytes=150000-".to_owned())]);
    let again = ann.client.download(file_at(url, None)).unwrap();
    assert_eq!(file(&again).await.unwrap(), path);
    assert_eq!(host.state().requests.len(), 2, "it was on this device");
    let mut have = Version::NONE;
    while let Some(state) = again.next(have).await.unwrap() {
        have = state.version;
        assert!(have != Version(100), "it ends");
    }
}

/// Where neither the host nor the message says how long a file is, an answer that breaks is still no whole file.
#[tokio::test]
async fn a_file_of_unknown_length_that_breaks_is_not_taken_for_whole() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let content = bytes(400_000);
    let url = host.put("cat", &content);
    host.fail("/get/cat", Trouble::BreaksUnsized(150_000));
    let download = ann.client.download(file_at(url, None)).unwrap();
    let path = file(&download).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap().len(), content.len());
    assert_eq!(host.state().requests.len(), 2);
}

/// A host that answers with a range of another version is asked for the whole file: no part of one version is
/// joined to one of another.
#[tokio::test]
async fn parts_of_two_versions_are_never_joined() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let (old, new) = (vec![1; 400_000], vec![2; 400_000]);
    let url = host.put("cat", &old);
    host.state().versions.insert("cat".to_owned(), "one");
    host.fail("/get/cat", Trouble::BreaksAfter(150_000));
    host.fail("/get/cat", Trouble::Stalls);
    let download = ann.client.download(file_at(url, Some(400_000))).unwrap();
    in_time("the second request", host.is_asked(2)).await;
    // The host does not look at `If-Range`.
    host.put("cat", &new);
    host.state().versions.insert("cat".to_owned(), "two");
    host.go_on();
    let path = file(&download).await.unwrap();
    assert!(std::fs::read(path).unwrap() == new, "one version alone");
    assert_eq!(
        ranges(&host),
        [None, Some("bytes=150000-".to_owned()), None]
    );
}

/// A range that begins elsewhere than the missing bytes is joined to nothing.
#[tokio::test]
async fn a_part_from_another_place_is_never_joined() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let content = bytes(400_000);
    let url = host.put("cat", &content);
    host.fail("/get/cat", Trouble::BreaksAfter(150_000));
    host.fail("/get/cat", Trouble::FromElsewhere(100_000));
    let download = ann.client.download(file_at(url, None)).unwrap();
    let path = file(&download).await.unwrap();
    assert!(std::fs::read(path).unwrap() == content, "the host's bytes");
    assert_eq!(
        ranges(&host),
        [None, Some("bytes=150000-".to_owned()), None]
    );
}

/// The host's file became shorter than the part that is here: the file is asked for anew.
#[tokio::test]
async fn a_file_that_became_shorter_is_asked_for_anew() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let url = host.put("cat", &bytes(400_000));
    host.fail("/get/cat", Trouble::BreaksAfter(150_000));
    host.fail("/get/cat", Trouble::Stalls);
    let download = ann.client.download(file_at(url, None)).unwrap();
    in_time("the second request", host.is_asked(2)).await;
    let short = vec![9; 100_000];
    host.put("cat", &short);
    host.go_on();
    let path = file(&download).await.unwrap();
    assert!(std::fs::read(path).unwrap() == short, "the host's bytes");
    assert_eq!(ranges(&host).last(), Some(&None));
}

/// Tries end a download only where they bring nothing: one that gets on at each try goes on as long as it takes.
#[tokio::test]
async fn a_download_that_gets_on_at_each_try_goes_on_as_long_as_it_takes() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let content = bytes(400_000);
    let url = host.put("cat", &content);
    for _ in 0..6 {
        host.fail("/get/cat", Trouble::BreaksAfter(50_000));
    }
    let download = ann.client.download(file_at(url, Some(400_000))).unwrap();
    let path = file(&download).await.unwrap();
    assert!(std::fs::read(path).unwrap() == content, "the host's bytes");
    let asked = (1..=6).map(|it| Some(format!("bytes={}-", it * 50_000)));
    assert_eq!(ranges(&host)[1..], asked.collect::<Vec<_>>());
}

/// A host may send to another place for a file, also for the rest of one.
#[tokio::test]
async fn a_redirect_of_the_host_is_followed() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let content = bytes(400_000);
    let url = host.put("cat", &bytes(10));
    let elsewhere = host.put("store", &content);
    host.fail("/get/cat", Trouble::MovedTo("/get/store".to_owned()));
    host.fail("/get/cat", Trouble::MovedTo(elsewhere));
    host.fail("/get/store", Trouble::BreaksAfter(150_000));
    let download = ann.client.download(file_at(url, Some(400_000))).unwrap();
    let path = file(&download).await.unwrap();
    assert!(std::fs::read(path).unwrap() == content, "the host's bytes");
    let rest = Some("bytes=150000-".to_owned());
    assert_eq!(ranges(&host), [None, None, rest.clone(), rest]);
}

/// A file of which nobody says how long it is ends at the cache's limit; the host is not asked again.
#[tokio::test]
async fn a_file_of_unknown_length_is_bounded_by_the_cache() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let mut config = place.config("ann");
    config.file_cache_bytes = 2500;
    let ann = Device::open(config, "ann").await;
    let url = host.put("cat", &bytes(5000));
    host.fail("/get/cat", Trouble::BreaksUnsized(4000));
    let download = ann.client.download(file_at(url, None)).unwrap();
    let DownloadFailure::TooLarge { limit, actual } = failure(&download).await else {
        panic!("it is too large");
    };
    assert!(
        limit == Count(2500) && actual > Count(2500),
        "{limit:?} {actual:?}"
    );
    assert_eq!(ranges(&host), [None]);
    let folders = std::fs::read_dir(place.folder.path().join("ann")).unwrap();
    let files = folders.filter_map(|it| std::fs::read_dir(it.unwrap().path().join("files")).ok());
    assert_eq!(files.flatten().count(), 0, "no part is kept");
}

/// S168: the bytes must be those that the message tells of: as many, and with the checksum that is in it.
#[tokio::test]
async fn bytes_that_are_not_the_messages_are_refused_and_not_kept() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let url = host.put("cat", &bytes(1000));
    let download = ann
        .client
        .download(file_at(url.clone(), Some(999)))
        .unwrap();
    assert!(matches!(
        failure(&download).await,
        DownloadFailure::AnotherFile { .. }
    ));
    let mut wrong = file_at(url.clone(), Some(1000));
    let extra = r#"{"metaData":{"_checksum":"00000000000000000000000000000000"}}"#;
    wrong.extra = Some(Json::parse(extra).unwrap());
    let download = ann.client.download(wrong).unwrap();
    assert!(matches!(
        failure(&download).await,
        DownloadFailure::AnotherFile { .. }
    ));
    let error = file(&download).await.unwrap_err();
    assert!(
        matches!(error, SampanError::Refused { code: 0, .. }),
        "{error}"
    );
    let download = ann.client.download(file_at(url, Some(1000))).unwrap();
    assert_eq!(
        std::fs::read(file(&download).await.unwrap()).unwrap(),
        bytes(1000)
    );
}

/// The app is told the host's answer; a missing file is not tried again.
#[tokio::test]
async fn a_host_that_has_no_file_or_gives_none_is_told_at_once() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let missing = format!("{}/get/missing", host.url());
    let download = ann.client.download(file_at(missing, None)).unwrap();
    assert_eq!(failure(&download).await, DownloadFailure::Absent);
    host.fail("/get/closed", Trouble::Status(403, ""));
    let closed = host.put("closed", &bytes(10));
    let download = ann.client.download(file_at(closed, None)).unwrap();
    assert_eq!(
        failure(&download).await,
        DownloadFailure::Refused { status: 403 }
    );
    assert_eq!(host.state().requests.len(), 2);
    for url in ["http://[2001:db8::1]/x", "file:///etc/passwd", "no url"] {
        let download = ann.client.download(file_at(url.to_owned(), None)).unwrap();
        let error = file(&download).await.unwrap_err();
        assert!(
            matches!(error, SampanError::InvalidArgument { .. }),
            "{url}: {error}"
        );
    }
}

/// `cancel` stops a download for everybody; the bytes that came are kept.
#[tokio::test]
async fn a_cancelled_download_ends_and_another_one_goes_on() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = place.device("ann", "ann").await;
    let url = host.put("cat", &bytes(1000));
    host.fail("/get/cat", Trouble::Stalls);
    let first = ann.client.download(file_at(url.clone(), None)).unwrap();
    let second = ann.client.download(file_at(url.clone(), None)).unwrap();
    let waits = tokio::spawn(async move { file(&second).await });
    in_time("the request", host.is_asked(1)).await;
    first.cancel();
    let error = in_time("the end", waits).await.unwrap().unwrap_err();
    assert_eq!(error, SampanError::ViewEnded);
    let third = ann.client.download(file_at(url, None)).unwrap();
    assert_eq!(
        std::fs::read(file(&third).await.unwrap()).unwrap(),
        bytes(1000)
    );
    host.go_on();
}

/// The cache keeps to its limit; the files that the app holds stay.
#[tokio::test]
async fn the_cache_stays_within_its_limit_and_keeps_what_is_held() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let mut config = place.config("ann");
    config.file_cache_bytes = 2500;
    let ann = Device::open(config, "ann").await;
    let get = async |key: &'static str| -> (Arc<Download>, PathBuf) {
        let url = host.put(key, &bytes(1000));
        let download = ann.client.download(file_at(url, None)).unwrap();
        let path = file(&download).await.unwrap();
        (download, path)
    };
    let (held, first) = get("a").await;
    let (_, second) = get("b").await;
    let (_, third) = get("c").await;
    assert!(first.exists() && third.exists() && !second.exists());
    drop(held);
    let large = host.put("large", &bytes(2501));
    let download = ann.client.download(file_at(large, None)).unwrap();
    let error = file(&download).await.unwrap_err();
    assert!(matches!(error, SampanError::TooLarge { .. }), "{error}");
}

/// Own files count too: a client that sends and never downloads keeps to the limit.
#[tokio::test]
async fn files_that_were_sent_keep_the_cache_within_its_limit() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let mut config = place.config("ann");
    (config.file_cache_bytes, config.api_url) = (1500, Some(host.url()));
    let ann = Device::open(config, "ann").await;
    let talk = ann.talk_to("ben").await;
    for _ in 0..3 {
        let media = NewMedia::new(MediaSource::Bytes { data: bytes(1000) });
        talk.send_media(media).await.unwrap();
    }
    ann.go_online().await;
    ann.has_sent_everything().await;
    let kept = || {
        let accounts = std::fs::read_dir(place.folder.path().join("ann")).unwrap();
        let folders: Vec<_> = accounts.map(|it| it.unwrap().path()).collect();
        let count = |name: &str| {
            let files = folders
                .iter()
                .filter_map(|it| std::fs::read_dir(it.join(name)).ok());
            files.flatten().count()
        };
        (count("spool"), count("files"))
    };
    in_time("room in the cache", async {
        while kept() != (0, 1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The file of an encrypted store lies sealed; the app's copy in the clear goes with the handle.
#[tokio::test]
async fn a_download_of_an_encrypted_store_is_in_the_clear_as_long_as_it_is_held() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let engine = Engine::open(place.config("ann")).unwrap();
    let options = ClientOptions {
        store_key: Some(Secret::new("07".repeat(32))),
        ..ClientOptions::default()
    };
    let client = engine.client(id("ann"), options).await.unwrap();
    let content = b"meet me at noon ".repeat(20_000);
    let url = host.put("note", &content);
    host.fail("/get/note", Trouble::BreaksAfter(150_000));
    let download = client
        .download(file_at(url.clone(), Some(320_000)))
        .unwrap();
    let path = file(&download).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    drop(download);
    in_time("the copy's end", async {
        while path.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let accounts = std::fs::read_dir(place.folder.path().join("ann")).unwrap();
    let files =
        accounts.flat_map(|it| std::fs::read_dir(it.unwrap().path().join("files")).unwrap());
    let mut sealed = files
        .map(|it| it.unwrap().path())
        .filter(|path| path.is_file());
    let sealed = sealed.next().unwrap();
    let raw = std::fs::read(&sealed).unwrap();
    assert!(!raw.windows(12).any(|part| part == b"meet me at n"));
    // A file that can't be opened any more, such as one of another key, is downloaded again.
    std::fs::write(&sealed, b"none of ours, although as long as a header is").unwrap();
    let download = client.download(file_at(url, Some(320_000))).unwrap();
    let path = file(&download).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
}

/// An own file is there before it is uploaded, and is not downloaded afterwards.
#[tokio::test]
async fn an_own_file_is_shown_from_this_device() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let mut config = place.config("ann");
    config.api_url = Some(host.url());
    let ann = Device::open(config, "ann").await;
    let talk = ann.talk_to("ben").await;
    let media = NewMedia {
        name: Some("cat.png".to_owned()),
        ..NewMedia::new(MediaSource::Bytes { data: bytes(1000) })
    };
    let echo = talk.send_media(media).await.unwrap();
    let spooled = echo.message.content.media().unwrap().clone();
    let download = ann.client.download(spooled).unwrap();
    assert_eq!(
        std::fs::read(file(&download).await.unwrap()).unwrap(),
        bytes(1000)
    );
    drop(download);
    ann.go_online().await;
    let sent = ann
        .until("the message", || async {
            let messages = ann.messages(&talk.info().await.unwrap().id).await;
            messages.into_iter().find(|it| it.id.is_some())
        })
        .await;
    let stored = sent.content.media().unwrap().clone();
    let download = ann.client.download(stored).unwrap();
    assert_eq!(
        std::fs::read(file(&download).await.unwrap()).unwrap(),
        bytes(1000)
    );
    let requests = host.state().requests.clone();
    assert!(
        requests.iter().all(|(line, _)| !line.starts_with("GET")),
        "{requests:?}"
    );
}

/// D06: a file that an older SDK downloaded is found without its host, which may be gone for good; a client with an
/// encrypted store finds it too. A file with another size than the message says is another file.
#[tokio::test]
async fn a_file_that_an_older_sdk_downloaded_is_found_without_its_host() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let old = tempfile::tempdir().unwrap();
    let folders = ["Files", "appidappavfile"].map(|name| old.path().join(name));
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
    }
    let (content, gone) = (bytes(5000), "https://files.example.org/gone/cat.png");
    let of_java = format!("{:x}", md5::Md5::digest(gone));
    std::fs::write(folders[0].join("5f1.png"), &content).unwrap();
    std::fs::write(folders[1].join(of_java), &content).unwrap();
    let mut config = place.config("ann");
    config.legacy_file_folders = folders.to_vec();
    let engine = Engine::open(config).unwrap();
    for key in [None, Some(Secret::new("0aF9".repeat(16)))] {
        let name = if key.is_some() { "ann" } else { "ben" };
        let options = ClientOptions {
            store_key: key,
            ..ClientOptions::default()
        };
        let client = engine.client(id(name), options).await.unwrap();
        let named = |id: &str, url: &str, size| MediaFile {
            object_id: Some(id.to_owned()),
            ..file_at(url.to_owned(), size)
        };
        for (id, url, size) in [
            ("5f1", "https://files.example.org/gone/1", Some(5000)),
            ("5f1", "https://files.example.org/gone/2", None),
            ("5f2", gone, Some(5000)),
        ] {
            let download = client.download(named(id, url, size)).unwrap();
            let path = file(&download).await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), content);
            assert!(path.starts_with(old.path()), "it is read in place");
        }
        let url = host.put("cat", &bytes(400));
        let download = client.download(named("5f1", &url, Some(400))).unwrap();
        let path = file(&download).await.unwrap();
        assert_eq!(std::fs::read(path).unwrap(), bytes(400));
    }
    assert_eq!(
        ranges(&host).len(),
        2,
        "each client asked for the other file"
    );
}

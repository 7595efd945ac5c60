//! A process that is killed while it uploads: each file that was accepted ends as one file and one message.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sampan::model::{MediaSource, NewMedia};
use sampan::sync::Randomness;

use crate::file_host::FileHost;
use crate::place::{Device, Place, config, in_time};

/// Tells the child process where its store is; without it the child's half of the test does nothing.
const STORE: &str = "SAMPAN_IT_MEDIA_STORE";

/// Tells the child where the service is, and where files go.
const SERVICE: &str = "SAMPAN_IT_MEDIA_SERVICE";
const FILES: &str = "SAMPAN_IT_MEDIA_FILES";

/// The number of kills; the suite does a few, a run by hand may do more.
const KILLS: &str = "SAMPAN_IT_MEDIA_KILLS";

/// The child's word when a file was accepted.
const SENT: &str = "sent:";

/// A child's two files take at least so many requests, pieces of bodies and answers.
const MOVES: u64 = 14;

/// As many bytes as take some pieces.
const BYTES: usize = 300_000;

fn child_config(store: &Path, service: String, files: String) -> sampan::Config {
    let mut config = config(sampan::ServerAddress::Router { url: service }, store);
    config.api_url = Some(files);
    config
}

fn child(store: &Path, service: &str, files: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "media_kill::child_that_uploads_until_it_is_killed",
        ])
        .args(["--ignored", "--nocapture"])
        .env(STORE, store)
        .env(SERVICE, service)
        .env(FILES, files)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The child: it sends two files, says so, and goes on uploading until its end.
#[tokio::test]
#[ignore = "it is the other half of the test below, which starts it"]
async fn child_that_uploads_until_it_is_killed() {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    let (service, files) = (
        std::env::var(SERVICE).unwrap(),
        std::env::var(FILES).unwrap(),
    );
    let ann = Device::open(child_config(Path::new(&store), service, files), "ann").await;
    ann.client.go_online(None).unwrap();
    let talk = ann.talk_to("ben").await;
    let mut out = std::io::stdout();
    for number in 0..2 {
        let caption = format!("{}-{number}", std::process::id());
        let mut data = caption.clone().into_bytes();
        data.resize(BYTES, 7);
        let media = NewMedia {
            caption: Some(caption.clone()),
            ..NewMedia::new(MediaSource::Bytes { data })
        };
        talk.send_media(media).await.unwrap();
        writeln!(out, "{SENT}{caption}").unwrap();
        out.flush().unwrap();
    }
    std::future::pending::<()>().await;
}

/// D01, D02: SIGKILL at different moments of uploads: each file that was accepted is one file at the host and one message.
#[tokio::test]
async fn uploads_that_are_killed_end_as_one_file_and_one_message_each() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let store = place.folder.path().join("phone");
    let service = format!("http://{}", place.service.addr());
    let kills = std::env::var(KILLS).map_or(5, |kills| kills.parse().unwrap());
    let mut promised = BTreeSet::new();
    let mut chance = Randomness::seeded(1);
    for kill in 0..kills {
        let before = host.moves();
        let mut child = child(&store, &service, &host.url());
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut own = said
            .map(Result::unwrap)
            .filter_map(|line| Some(line.strip_prefix(SENT)?.to_owned()));
        // The child may go on writing: what it says later is not waited for.
        promised.extend(own.by_ref().take(1 + kill % 2));
        // Between any two requests, pieces of a file and answers: the two files of a child make more than these.
        let moves = usize::try_from(chance.below(MOVES)).unwrap();
        in_time("its uploads", host.has_moved(before + moves)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let ann = Device::open(child_config(&store, service, host.url()), "ann").await;
    ann.go_online().await;
    ann.until("an empty outbox", || async {
        ann.client.outbox().await.unwrap().is_empty().then_some(())
    })
    .await;
    let talk = ann.talk_to("ben").await;
    // The conversation made here becomes the one that the killed process made.
    let messages = ann
        .until("every message", || async {
            let messages = ann.messages(&talk.info().await.ok()?.id).await;
            (messages.len() >= promised.len()).then_some(messages)
        })
        .await;
    let captions: Vec<_> = messages
        .iter()
        .map(|it| it.content.words().unwrap().to_owned())
        .collect();
    let once: BTreeSet<_> = captions.iter().cloned().collect();
    assert_eq!(once.len(), captions.len(), "each once: {captions:?}");
    assert!(promised.is_subset(&once), "{promised:?} {once:?}");
    let mut stored: Vec<String> = host
        .stored()
        .into_iter()
        .map(|bytes| {
            assert_eq!(bytes.len(), BYTES);
            let end = bytes.iter().position(|byte| *byte == 7).unwrap();
            String::from_utf8(bytes[..end].to_vec()).unwrap()
        })
        .collect();
    stored.sort();
    assert_eq!(
        stored,
        once.iter().cloned().collect::<Vec<_>>(),
        "one file each"
    );
    assert_eq!(host.arrived(), stored.len(), "no file beside them");
}

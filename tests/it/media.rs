//! Files: sent over trouble and restarts, and shown while they are on their way.

use std::path::Path;

use sampan::model::{
    LocalId, MediaSource, Message, MessageContent, NewMedia, SendFailure, UploadFailure,
};
use sampan::views::{Message as Shown, TimelineState};
use sampan::{
    Blocker, ClientOptions, Config, Delivery, Engine, SampanError, Secret, ServerAddress,
};

use crate::calls::Call;
use crate::endings::give_up_after;
use crate::file_host::{FileHost, Trouble};
use crate::place::{Device, Place, id, in_time};

/// Some bytes that are no picture.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn file_of(data: Vec<u8>) -> NewMedia {
    NewMedia {
        name: Some("cat.png".to_owned()),
        caption: Some("look".to_owned()),
        ..NewMedia::new(MediaSource::Bytes { data })
    }
}

/// A device whose files go to a host.
fn config(place: &Place, host: &FileHost, device: &str) -> Config {
    let mut config = place.config(device);
    config.api_url = Some(host.url());
    config
}

/// The files in the spools of a device.
fn spooled(place: &Place, device: &str) -> Vec<std::path::PathBuf> {
    let accounts = std::fs::read_dir(place.folder.path().join(device)).unwrap();
    let spools = accounts.map(|it| it.unwrap().path().join("spool"));
    let files = spools.filter_map(|spool| std::fs::read_dir(spool).ok());
    files.flatten().map(|it| it.unwrap().path()).collect()
}

async fn sent(device: &Device, talk: &sampan::Conversation) -> Message {
    device
        .until("the message", || async {
            let page = talk.page(None, 10).await.unwrap();
            let message = page.items.iter().find_map(|item| item.message()).cloned();
            message.filter(|message| message.id.is_some())
        })
        .await
}

/// S164, S165, S169: the bytes are uploaded first, then the message goes with their URL; the other device reads
/// the same.
#[tokio::test]
async fn a_file_is_uploaded_and_its_message_carries_the_url() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = Device::open(config(&place, &host, "ann"), "ann").await;
    let ben = place.online("ben", "ben").await;
    let talk = ann.talk_to("ben").await;
    let content = bytes(300_000);
    let echo = talk.send_media(file_of(content.clone())).await.unwrap();
    let shown = echo.message.content.media().unwrap();
    assert!(shown.url.starts_with("sampan-spool:"));
    assert_eq!(shown.size, Some(300_000));
    assert_eq!(spooled(&place, "ann").len(), 1, "durable while offline");
    ann.go_online().await;
    let message = sent(&ann, &talk).await;
    let MessageContent::Image { file, caption, .. } = &message.content else {
        panic!("{:?}", message.content);
    };
    assert!(file.url.starts_with(&format!("{}/get/", host.url())));
    assert_eq!(file.object_id.as_ref().map(String::len), Some(24));
    assert_eq!(
        (file.name.as_deref(), caption.as_deref()),
        (Some("cat.png"), Some("look"))
    );
    assert_eq!(host.stored(), [content]);
    ben.sees(&message.conversation, &["ann: look"]).await;
    let received = ben.messages(&message.conversation).await;
    assert_eq!(received[0].content.media(), Some(file));
    ann.until("an empty spool", || async {
        spooled(&place, "ann").is_empty().then_some(())
    })
    .await;
}

/// Each way of uploading hands the storage the same bytes.
#[tokio::test]
async fn every_known_storage_gets_the_bytes_and_an_unknown_one_is_told() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = Device::open(config(&place, &host, "ann"), "ann").await;
    ann.go_online().await;
    for provider in ["s3", "qiniu", "qcloud"] {
        host.state().provider = Some(provider);
        host.state().files.clear();
        let talk = ann.talk_to_all(&["ben"]).await;
        let content = bytes(70_000);
        talk.send_media(file_of(content.clone())).await.unwrap();
        sent(&ann, &talk).await;
        assert_eq!(host.stored(), [content], "{provider}");
    }
    host.state().provider = Some("elsewhere");
    let talk = ann.talk_to_all(&["ben"]).await;
    talk.send_media(file_of(bytes(10))).await.unwrap();
    let failure = failed(&ann).await;
    let UploadFailure::UnknownStorage { provider } = failure else {
        panic!("{failure:?}");
    };
    assert_eq!(provider, "elsewhere");
}

async fn failed(device: &Device) -> UploadFailure {
    device
        .until("a failure", || async {
            let outbox = device.client.outbox().await.unwrap();
            outbox.iter().find_map(|entry| match &entry.state {
                sampan::model::OutboxState::Failed {
                    failure: SendFailure::NotUploaded { failure },
                } => Some(failure.clone()),
                _ => None,
            })
        })
        .await
}

/// A refusal says what the service said; the app tries again, and then it goes.
#[tokio::test]
async fn a_file_that_is_refused_says_why_and_a_retry_goes_on_with_the_copy() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = Device::open(config(&place, &host, "ann"), "ann").await;
    ann.go_online().await;
    let talk = ann.talk_to("ben").await;
    let said = r#"{"code":154,"error":"File is too large"}"#;
    host.fail("/1.1/fileTokens", Trouble::Status(413, said));
    let echo = talk.send_media(file_of(bytes(10))).await.unwrap();
    let refused = UploadFailure::Refused {
        status: 413,
        code: Some(154),
        reason: "File is too large".to_owned(),
    };
    assert_eq!(failed(&ann).await, refused);
    ann.client.retry(echo.entry.unwrap()).await.unwrap();
    sent(&ann, &talk).await;
    assert_eq!(host.stored(), [bytes(10)]);
}

/// S165: lost answers and broken connections are tried again; one file and one message come of it.
#[tokio::test]
async fn trouble_on_the_way_ends_with_one_file_and_one_message() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = Device::open(config(&place, &host, "ann"), "ann").await;
    ann.go_online().await;
    let talk = ann.talk_to("ben").await;
    host.fail("/1.1/fileTokens", Trouble::AnswerLost);
    host.fail("/up/", Trouble::Breaks);
    host.fail("/1.1/fileCallback", Trouble::Status(503, ""));
    talk.send_media(file_of(bytes(200_000))).await.unwrap();
    let message = sent(&ann, &talk).await;
    assert_eq!(host.stored(), [bytes(200_000)]);
    assert_eq!(host.arrived(), 1);
    assert_eq!(ann.messages(&message.conversation).await.len(), 1);
}

/// The timeline tells how far an upload is, and a discarded one leaves nothing.
#[tokio::test]
async fn a_timeline_shows_the_upload_and_discard_stops_it() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = Device::open(config(&place, &host, "ann"), "ann").await;
    ann.go_online().await;
    let talk = ann.talk_to("ben").await;
    let timeline = talk.timeline(None).await.unwrap();
    host.fail("/up/", Trouble::Stalls);
    talk.send_media(file_of(bytes(50_000))).await.unwrap();
    let mut state = TimelineState::default();
    let mut seen = Vec::new();
    let own = |state: &TimelineState| -> Option<Shown> {
        state.items.iter().find_map(|item| item.message()).cloned()
    };
    let message = in_time("progress", async {
        loop {
            let update = timeline.next(state.version).await.unwrap().unwrap();
            state.apply(update);
            let Some(message) = own(&state) else { continue };
            seen.push(message.delivery.clone().unwrap());
            if let Some(Delivery::Sending {
                progress: Some(progress),
            }) = &message.delivery
            {
                assert_eq!(progress.total.unwrap().0, 50_000);
                return message;
            }
        }
    })
    .await;
    let waits = Delivery::Waiting {
        blocker: Blocker::Upload,
    };
    let before = &seen[..seen.len() - 1];
    assert!(
        before.iter().all(|it| *it == waits
            || *it
                == Delivery::Waiting {
                    blocker: Blocker::Creation
                }),
        "{seen:?}"
    );
    let discarded = talk.discard(message.key).await.unwrap();
    assert_eq!(discarded.discarded, sampan::model::Discarded::NeverSent);
    ann.until("an empty spool", || async {
        spooled(&place, "ann").is_empty().then_some(())
    })
    .await;
    host.go_on();
    assert!(ann.client.outbox().await.unwrap().is_empty());
    assert!(host.stored().is_empty());
}

/// The copy of an encrypted store is encrypted, and goes up as it was.
#[tokio::test]
async fn a_copy_in_an_encrypted_store_shows_nothing_and_arrives_whole() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let engine = Engine::open(config(&place, &host, "ann")).unwrap();
    let options = ClientOptions {
        store_key: Some(Secret::new("07".repeat(32))),
        ..ClientOptions::default()
    };
    let client = engine.client(id("ann"), options).await.unwrap();
    let ann = Device { engine, client };
    let talk = ann.talk_to("ben").await;
    let content = b"meet me at noon ".repeat(10_000);
    talk.send_media(file_of(content.clone())).await.unwrap();
    let [copy] = &spooled(&place, "ann")[..] else {
        panic!("one copy");
    };
    let raw = std::fs::read(copy).unwrap();
    assert!(!raw.windows(12).any(|part| part == b"meet me at n"));
    ann.go_online().await;
    sent(&ann, &talk).await;
    assert_eq!(host.stored(), [content]);
}

/// S166: a file on the web is not uploaded.
#[tokio::test]
async fn a_file_on_the_web_is_named_and_not_uploaded() {
    let place = Place::new().await;
    let ann = place.online("ann", "ann").await;
    let talk = ann.talk_to("ben").await;
    let url = "https://example.org/song.mp3?x=1".to_owned();
    let media = NewMedia::new(MediaSource::Url { url: url.clone() });
    talk.send_media(media).await.unwrap();
    let message = sent(&ann, &talk).await;
    let MessageContent::Audio { file, .. } = message.content else {
        panic!("{:?}", message.content);
    };
    assert_eq!(
        (file.url, file.name.as_deref(), file.object_id),
        (url, Some("song.mp3"), None)
    );
}

/// Bad sources are typed errors, and leave neither a message nor a copy.
#[tokio::test]
async fn a_source_that_is_none_is_refused_and_leaves_nothing() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let mut config = config(&place, &host, "ann");
    config.upload_max = 1000;
    let ann = Device::open(config, "ann").await;
    let talk = ann.talk_to("ben").await;
    let path = |path: &Path| NewMedia::new(MediaSource::Path { path: path.into() });
    let missing = place.folder.path().join("missing");
    let large = place.folder.path().join("large");
    std::fs::write(&large, bytes(1001)).unwrap();
    for media in [
        path(&missing),
        path(place.folder.path()),
        file_of(Vec::new()),
    ] {
        let error = talk.send_media(media).await.unwrap_err();
        assert!(
            matches!(error, SampanError::InvalidArgument { .. }),
            "{error}"
        );
    }
    for media in [path(&large), file_of(bytes(1001))] {
        let error = talk.send_media(media).await.unwrap_err();
        assert!(matches!(error, SampanError::TooLarge { .. }), "{error}");
    }
    let mut transient = file_of(bytes(10));
    transient.options.transient = true;
    let error = talk.send_media(transient).await.unwrap_err();
    assert!(
        matches!(error, SampanError::InvalidArgument { .. }),
        "{error}"
    );
    let mut long = file_of(bytes(10));
    long.caption = Some("x".repeat(5000));
    let error = talk.send_media(long).await.unwrap_err();
    assert!(matches!(error, SampanError::TooLarge { .. }), "{error}");
    ann.until("an empty spool", || async {
        spooled(&place, "ann").is_empty().then_some(())
    })
    .await;
    let page = talk.page(None, 10).await.unwrap();
    assert!(page.items.iter().all(|item| item.message().is_none()));
    let mut nowhere = place.config("nowhere");
    nowhere.server = ServerAddress::Socket {
        url: "ws://127.0.0.1:9/".to_owned(),
    };
    let ben = Device::open(nowhere, "ben").await;
    let error = ben
        .talk_to("ann")
        .await
        .send_media(file_of(bytes(1)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, SampanError::InvalidArgument { .. }),
        "{error}"
    );
}

/// The caller of the call may leave at each await point: the message is enqueued with its copy, or neither stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_call_is_given_up_is_sent_whole_or_leaves_nothing() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = Device::open(config(&place, &host, "ann"), "ann").await;
    let talk = ann.talk_to("ben").await;
    for polls in 1.. {
        let talk = std::sync::Arc::clone(&talk);
        let call: Call = Box::pin(async move {
            let _ = talk.send_media(file_of(bytes(2_000_000))).await;
        });
        let begun = tokio::task::spawn_blocking(move || give_up_after(polls, call));
        if !begun.await.unwrap() {
            break;
        }
    }
    // The same call once more, to its end: it does what it would have done before.
    talk.send_media(file_of(bytes(2_000_000))).await.unwrap();
    ann.until("a copy for each message and none beside them", || async {
        let page = talk.page(None, 100).await.unwrap();
        let messages = page.items.iter().filter_map(|item| item.message());
        (messages.count() == spooled(&place, "ann").len()).then_some(())
    })
    .await;
}

/// A path is copied: the original may go at once. The same local id sends once.
#[tokio::test]
async fn a_file_may_go_once_the_call_returned_and_a_repeated_call_sends_once() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = Device::open(config(&place, &host, "ann"), "ann").await;
    let talk = ann.talk_to("ben").await;
    let original = place.folder.path().join("note.txt");
    std::fs::write(&original, "words").unwrap();
    let mut media = NewMedia::new(MediaSource::Path {
        path: original.clone(),
    });
    media.options.local_id = Some(LocalId::new("mine").unwrap());
    let first = talk.send_media(media.clone()).await.unwrap();
    let second = talk.send_media(media).await.unwrap();
    assert_eq!(first.entry, second.entry);
    std::fs::remove_file(original).unwrap();
    ann.go_online().await;
    let message = sent(&ann, &talk).await;
    assert_eq!(host.stored(), [b"words".to_vec()]);
    assert!(matches!(message.content, MessageContent::File { .. }));
}

/// S167, S168: the bytes of a picture tell what the app does not say of it; the place where it was taken is sent only
/// if the app wants that.
#[tokio::test]
async fn a_picture_goes_with_its_size_and_without_its_place() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ann = Device::open(config(&place, &host, "ann"), "ann").await;
    let picture = picture_with_a_place();
    for keeps_position in [false, true] {
        let talk = ann.talk_to_all(&["ben"]).await;
        let media = NewMedia {
            keeps_position,
            ..NewMedia::new(MediaSource::Bytes {
                data: picture.clone(),
            })
        };
        talk.send_media(media).await.unwrap();
        ann.client.go_online(None).unwrap();
        let message = sent(&ann, &talk).await;
        let MessageContent::Image { file, .. } = &message.content else {
            panic!("{:?}", message.content);
        };
        assert_eq!((file.width, file.height), (Some(640), Some(480)));
        assert_eq!(
            (file.format.as_deref(), file.mime.as_deref()),
            (Some("png"), Some("image/png"))
        );
        let stored = host.stored();
        let names_it = |bytes: &Vec<u8>| bytes.windows(11).any(|part| part == b"SECRETPLACE");
        assert_eq!(
            stored.iter().filter(|bytes| names_it(bytes)).count(),
            usize::from(keeps_position)
        );
        let path = ann.client.download(file.clone()).unwrap();
        assert_eq!(
            in_time("it", path.file()).await.map(|path| path.exists()),
            Ok(true)
        );
    }
}

/// The head of a PNG of 640 by 480 pixels, with EXIF that names a place.
fn picture_with_a_place() -> Vec<u8> {
    let chunk = |kind: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[..], kind, body, &[0; 4]].concat()
    };
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01".to_vec();
    tiff.extend(b"\x88\x25\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0");
    tiff.extend(b"\0\x01\0\x02\0\x02\0\0\0\x0c\0\0\0\x2c\0\0\0\0SECRETPLACE\0");
    let head = chunk(b"IHDR", b"\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0");
    [
        &b"\x89PNG\r\n\x1a\n"[..],
        &head,
        &chunk(b"eXIf", &tiff),
        &chunk(b"IEND", b""),
    ]
    .concat()
}

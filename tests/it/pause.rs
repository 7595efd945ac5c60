//! The app in the background: no file is open, and calls work all the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use sampan::model::{ConnectionState, SessionState, StoreHealth};
use sampan::{ClientOptions, Conversation, Engine, LocalData, SampanError, UnsentWork};

use crate::place::{Device, Place, id};

/// The files below a folder that this process has open. Linux tells; elsewhere the test says that this
/// part of it did not run, and a second opener is the judge.
pub(crate) fn open_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(handles) = std::fs::read_dir("/proc/self/fd") else {
        println!("SKIPPED: this system does not tell which files are open");
        return Vec::new();
    };
    // A handle that was closed meanwhile has no link.
    let files = handles.filter_map(|handle| std::fs::read_link(handle.ok()?.path()).ok());
    files.filter(|file| file.starts_with(folder)).collect()
}

/// An engine with a session, a conversation with `ben` that the service knows, and its folder.
pub(crate) async fn settled(place: &Place) -> (Device, Arc<Conversation>) {
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("before".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    (ann, talk)
}

/// The lines without gaps: an offline device does not know if something newer is missing, and a gap may say so.
async fn said(device: &Device, talk: &Conversation) -> Vec<String> {
    let lines = device.lines(&talk.conversation_id()).await.unwrap();
    lines.into_iter().filter(|line| line != "(gap)").collect()
}

/// S301, D09: files, locks included, are released: nothing is open, and another opener gets the store.
#[tokio::test]
async fn a_paused_engine_has_no_file_open_and_another_one_may_have_the_store() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let root = place.folder.path().join("phone");
    if cfg!(target_os = "linux") {
        assert!(!open_files(&root).is_empty(), "it looks in the right place");
    }
    ann.engine.pause().await.unwrap();
    assert_eq!(open_files(&root), Vec::<PathBuf>::new());
    assert_eq!(ann.engine.connection_state(), ConnectionState::Idle);

    let other = Device::open(place.config("phone"), "ann").await;
    assert_eq!(said(&other, &talk).await, ["ann: before"]);
    other.engine.shutdown().await.unwrap();

    ann.engine.resume().await.unwrap();
    ann.is_online().await;
    talk.send_text("after".into(), None).await.unwrap();
    let service_id = ann.service_id(&talk).await;
    ann.sees(&service_id, &["ann: before", "ann: after"]).await;
}

/// S265, S273: a call in the background, such as the answer to a notification, is as durable as any other; what
/// it opened is shut again by itself.
#[tokio::test]
async fn calls_in_the_background_work_and_their_files_are_shut_again() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let root = place.folder.path().join("phone");
    ann.engine.pause().await.unwrap();
    talk.send_text("from the background".into(), None)
        .await
        .unwrap();
    assert_eq!(
        said(&ann, &talk).await,
        ["ann: before", "ann: from the background (pending)"]
    );
    assert!(ann.talk_to("cem").await.conversation_id().is_local());
    ann.until("shut files", || async {
        open_files(&root).is_empty().then_some(())
    })
    .await;
    assert_eq!(ann.client.outbox().await.unwrap().len(), 2);
    ann.engine.pause().await.unwrap();
    assert!(open_files(&root).is_empty(), "a second call shuts at once");
    ann.engine.resume().await.unwrap();
    ann.has_sent_everything().await;
}

/// Reads that are under way end well, and the files are free after the last of them.
#[tokio::test]
async fn reads_under_way_are_not_hurt_by_pausing() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let root = place.folder.path().join("phone");
    for _ in 0..5 {
        let reads = join_all((0..20).map(|_| talk.page(None, 50)));
        let (reads, paused) = tokio::join!(reads, ann.engine.pause());
        paused.unwrap();
        for page in reads {
            assert!(page.unwrap().items.iter().any(|it| it.message().is_some()));
        }
        ann.engine.pause().await.unwrap();
        assert!(open_files(&root).is_empty());
        ann.engine.resume().await.unwrap();
    }
}

/// A store that another process holds can't be used here: calls say so, and after a resume the engine takes the store
/// up by itself as soon as it is free.
#[tokio::test]
async fn a_store_that_somebody_else_has_after_a_rest_is_a_typed_error_until_it_is_free() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    ann.engine.pause().await.unwrap();
    let other = Device::open(place.config("phone"), "ann").await;
    let holder = Some(i64::from(std::process::id()));
    let in_use = SampanError::StoreInUse { holder };
    assert_eq!(ann.client.outbox().await.unwrap_err(), in_use);
    assert_eq!(
        talk.send_text("lost".into(), None).await.unwrap_err(),
        in_use
    );
    ann.engine.resume().await.unwrap();
    ann.until("the store's health", || async {
        matches!(ann.client.store_health(), StoreHealth::ReadOnly { .. }).then_some(())
    })
    .await;
    other.engine.shutdown().await.unwrap();
    ann.until("the store", || async {
        (ann.client.store_health() == StoreHealth::Good).then_some(())
    })
    .await;
    ann.is_online().await;
    talk.send_text("after".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    ann.sees(&service_id, &["ann: before", "ann: after"]).await;
}

/// Other things that an app does while its engine is paused: it opens a client, goes offline, signs out.
#[tokio::test]
async fn a_paused_engine_opens_clients_and_lets_them_go() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let root = place.folder.path().join("phone");
    ann.engine.pause().await.unwrap();
    let options = ClientOptions::default();
    let ben = ann.engine.client(id("ben"), options).await.unwrap();
    assert!(ben.outbox().await.unwrap().is_empty());
    ann.engine.pause().await.unwrap();
    ann.client.go_offline().unwrap();
    ann.engine.pause().await.unwrap();
    ben.sign_out(LocalData::Wipe, UnsentWork::ThrowAway)
        .await
        .unwrap();
    assert_eq!(crate::place::accounts(&ann.engine).await, [id("ann")]);
    ann.engine.resume().await.unwrap();
    assert_eq!(said(&ann, &talk).await, ["ann: before"]);
    assert_ne!(ann.client.session_state(), SessionState::Open);
    ann.engine.pause().await.unwrap();
    ann.engine.shutdown().await.unwrap();
    assert!(open_files(&root).is_empty());
    assert_eq!(
        ann.client.outbox().await.unwrap_err(),
        SampanError::ShutDown
    );
    let again = Engine::open(place.config("phone")).unwrap();
    let options = ClientOptions::default();
    assert!(again.client(id("ann"), options).await.is_ok());
}

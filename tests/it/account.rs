//! A client's own calls: a refresh in the background, signing out with unsent work, the conversation of two, and
//! the numbers of commits.

use std::time::Duration;

use sampan::model::{Count, MessageContent, MessageKey};
use sampan::{
    ClientOptions, LinkState, LocalData, OtherDevice, SampanError, TimelineItem, UnsentWork,
};
use tokio::time::timeout;

use crate::pause::{open_files, settled};
use crate::place::{Device, PATIENCE, Place, id};
use crate::screen::{Screen, line};

/// §5.5 refresh: it works while paused, sends and takes what was missed, and holds no file when it returns.
#[tokio::test]
async fn a_refresh_of_a_paused_engine_sends_and_takes_all_and_leaves_no_file_open() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let service_id = ann.service_id(&talk).await;
    ann.engine.pause().await.unwrap();
    let ben = place.online("tablet", "ben").await;
    let theirs = ben.client.fetch_conversation(service_id).await.unwrap();
    theirs
        .send_text("are you there?".into(), None)
        .await
        .unwrap();
    ben.has_sent_everything().await;
    talk.send_text("from the background".into(), None)
        .await
        .unwrap();
    let brought = ann.client.refresh(PATIENCE).await.unwrap();
    assert!(brought.complete, "{brought:?}");
    assert_eq!(
        (brought.sent, brought.unsent, brought.failed),
        (Count(1), Count(0), Count(0))
    );
    assert_eq!(brought.unread.unmuted.messages, 1);
    let arrived: Vec<_> = brought
        .arrived
        .iter()
        .map(|it| it.content.words())
        .collect();
    assert_eq!(arrived, [Some("are you there?")]);
    let root = place.folder.path().join("phone");
    assert_eq!(open_files(&root), Vec::<std::path::PathBuf>::new());
    assert_eq!(ann.client.state().link, LinkState::Background);
    let again = ann.client.refresh(PATIENCE).await.unwrap();
    assert!(again.complete && again.arrived.is_empty(), "{again:?}");
}

/// §5.5 refresh: it ends when its time is over, and early when its future is dropped.
#[tokio::test]
async fn a_refresh_that_is_dropped_or_out_of_time_leaves_the_engine_as_it_was() {
    let place = Place::new().await;
    let nowhere = sampan::ServerAddress::Socket {
        url: "ws://127.0.0.1:9/".to_owned(),
    };
    let mut config = place.config("phone");
    config.server = nowhere;
    let ann = Device::open(config, "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("unsent".into(), None).await.unwrap();
    ann.engine.pause().await.unwrap();
    let root = place.folder.path().join("phone");
    let short = ann.client.refresh(Duration::from_millis(50)).await.unwrap();
    assert!(!short.complete);
    // The conversation to be made waits too.
    assert_eq!((short.sent, short.unsent), (Count(0), Count(2)));
    assert_eq!(open_files(&root), Vec::<std::path::PathBuf>::new());
    assert_eq!(ann.client.state().link, LinkState::Off);
    let dropped = timeout(Duration::from_millis(50), ann.client.refresh(PATIENCE)).await;
    assert!(dropped.is_err(), "it was under way");
    let free = async {
        while !open_files(&root).is_empty() || ann.client.state().link != LinkState::Off {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free).await.expect("no file is open");
}

/// §5.5 refresh: it takes no other device's place.
#[tokio::test]
async fn a_refresh_never_takes_another_devices_place() {
    let place = Place::new().await;
    let tagged = || ClientOptions {
        tag: Some(sampan::model::DeviceTag::new("mobile").unwrap()),
        ..ClientOptions::default()
    };
    let phone = sampan::Engine::open(place.config("phone")).unwrap();
    let first = phone.client(id("ann"), tagged()).await.unwrap();
    first.go_online(Some(OtherDevice::SignOut)).unwrap();
    timeout(PATIENCE, first.wait_online())
        .await
        .unwrap()
        .unwrap();
    phone.pause().await.unwrap();
    let tablet = sampan::Engine::open(place.config("tablet")).unwrap();
    let second = tablet.client(id("ann"), tagged()).await.unwrap();
    second.go_online(Some(OtherDevice::SignOut)).unwrap();
    timeout(PATIENCE, second.wait_online())
        .await
        .unwrap()
        .unwrap();
    let brought = first.refresh(PATIENCE).await.unwrap();
    assert!(!brought.complete, "the session ended with a conflict");
    assert_eq!(second.state().link, LinkState::Online);
}

/// §5.5 `sign_out`: the app decides about unsent work; nothing is lost without its word.
#[tokio::test]
async fn signing_out_says_what_happens_to_unsent_work() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    ann.client.go_offline().unwrap();
    talk.send_text("unsent".into(), None).await.unwrap();
    for data in [LocalData::Keep, LocalData::Wipe] {
        let refused = ann.client.sign_out(data, UnsentWork::Refuse).await;
        assert_eq!(refused, Err(SampanError::Unsent { count: Count(1) }));
    }
    let both = ann
        .client
        .sign_out(LocalData::Wipe, UnsentWork::KeepIt)
        .await;
    assert!(
        matches!(both, Err(SampanError::InvalidArgument { .. })),
        "{both:?}"
    );
    assert_eq!(
        ann.client.state().outbox.waiting,
        Count(1),
        "nothing happened"
    );
    let thrown = ann.client.sign_out(LocalData::Keep, UnsentWork::ThrowAway);
    thrown.await.unwrap();
    let again = ann
        .engine
        .client(id("ann"), ClientOptions::default())
        .await
        .unwrap();
    assert_eq!(again.state().outbox.waiting, Count(0));
    let talk = again.conversation(talk.conversation_id()).unwrap();
    let screen = Screen::newest(&talk).await;
    let said: Vec<_> = screen
        .lines()
        .into_iter()
        .filter(|it| it != "(gap)")
        .collect();
    assert_eq!(said, ["before"], "what was sent stays");
    again
        .sign_out(LocalData::Wipe, UnsentWork::Refuse)
        .await
        .unwrap();
}

/// §5.5 `direct`: the one conversation of two, offline too, and the same when the service has made it.
#[tokio::test]
async fn a_direct_conversation_is_the_one_of_two() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.client.direct(id("ben")).await.unwrap();
    assert_eq!(ann.client.direct(id("ben")).await.unwrap(), talk);
    let itself = ann.client.direct(id("ann")).await;
    assert!(
        matches!(itself, Err(SampanError::InvalidArgument { .. })),
        "{itself:?}"
    );
    ann.go_online().await;
    let service_id = ann.service_id(&talk).await;
    let again = ann.client.direct(id("ben")).await.unwrap();
    assert_eq!(again.conversation_id(), service_id);
}

/// §5.4, D3: a handle's id follows the take-over by the service's, as messages and events do.
#[tokio::test]
async fn the_id_of_a_handle_follows_the_take_over() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.client.direct(id("ben")).await.unwrap();
    let local = talk.conversation_id();
    assert!(local.is_local());
    ann.go_online().await;
    let service_id = ann.service_id(&talk).await;
    assert_eq!(talk.conversation_id(), service_id);
    ann.engine.pause().await.unwrap();
    assert_eq!(talk.conversation_id(), service_id, "it is remembered");
    ann.engine.resume().await.unwrap();
    let old = ann.client.conversation(local).unwrap();
    let sent = old.send_text("hello".into(), None).await.unwrap();
    assert_eq!(sent.message.conversation, service_id);
    assert_eq!(old.conversation_id(), service_id);
}

/// §3, §5.4: every write answers its commit, and a view whose update names that commit or a later one shows it.
#[tokio::test]
async fn a_view_whose_seq_is_not_before_a_writes_shows_the_write() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    ann.client.go_offline().unwrap();
    let mut screen = Screen::newest(&talk).await;
    let mut last = sampan::model::CommitSeq::default();
    for number in 0..5 {
        let words = format!("line {number}");
        let sent = talk.send_text(words.clone(), None).await.unwrap();
        assert!(sent.seq > last, "{:?} after {last:?}", sent.seq);
        last = sent.seq;
        let shows = |item: &TimelineItem, words: &str| line(item) == words;
        while screen.update().await.seq < sent.seq {}
        assert!(screen.state.items.iter().any(|it| shows(it, &words)));
        let key = MessageKey::local(sent.local_id);
        let words = format!("edited {number}");
        let edited = talk
            .edit(key, MessageContent::text(words.clone()))
            .await
            .unwrap();
        assert!(edited > last);
        last = edited;
        while screen.update().await.seq < edited {}
        assert!(screen.state.items.iter().any(|it| shows(it, &words)));
    }
    let muted = talk.set_muted(true).await.unwrap();
    let pinned = talk.set_pinned(true).await.unwrap();
    assert!(last < muted && muted < pinned);
    assert!(ann.client.commit_seq().await.unwrap() >= pinned);
}

/// §5.5 `accounts`: unsent work is told of open clients and of closed ones, but not of a closed encrypted one;
/// a read mark is none. `sign_out` counts the same.
#[tokio::test]
async fn the_unsent_work_of_each_account_is_told() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let ben = place.online("tablet", "ben").await;
    let theirs = ben.client.fetch_conversation(ann.service_id(&talk).await);
    theirs
        .await
        .unwrap()
        .send_text("read me".into(), None)
        .await
        .unwrap();
    ann.until("the message", || async {
        let unread = talk.info().await.ok()?.unread.count;
        (unread == 1).then_some(())
    })
    .await;
    ann.client.go_offline().unwrap();
    talk.mark_read(None).await.unwrap();
    let key = || ClientOptions {
        store_key: Some(sampan::Secret::new("5".repeat(64))),
        ..ClientOptions::default()
    };
    let cem = ann.engine.client(id("cem"), key()).await.unwrap();
    let unsent = async || -> Vec<Option<Count>> {
        let accounts = ann.engine.accounts().await.unwrap();
        accounts.into_iter().map(|it| it.unsent).collect()
    };
    assert_eq!(ann.client.outbox().await.unwrap().len(), 1, "a read mark");
    assert_eq!(unsent().await, [Some(Count(0)), Some(Count(0))]);
    talk.send_text("unsent".into(), None).await.unwrap();
    talk.send_text("and more".into(), None).await.unwrap();
    cem.direct(id("ann")).await.unwrap();
    assert_eq!(unsent().await, [Some(Count(2)), Some(Count(1))]);
    let refused = ann.client.sign_out(LocalData::Keep, UnsentWork::Refuse);
    assert_eq!(refused.await, Err(SampanError::Unsent { count: Count(2) }));
    for client in [&ann.client, &cem] {
        client
            .sign_out(LocalData::Keep, UnsentWork::KeepIt)
            .await
            .unwrap();
    }
    assert_eq!(unsent().await, [Some(Count(2)), None], "one has no key");
    let again = ann.engine.client(id("ann"), ClientOptions::default());
    let again = again.await.unwrap();
    again
        .sign_out(LocalData::Keep, UnsentWork::ThrowAway)
        .await
        .unwrap();
    assert_eq!(unsent().await, [Some(Count(0)), None]);
}

/// §5.5 `sign_out`: a read mark is no unsent work, for reading makes it again.
#[tokio::test]
async fn a_read_mark_holds_up_no_sign_out() {
    let place = Place::new().await;
    let (ann, talk) = settled(&place).await;
    let ben = place.online("tablet", "ben").await;
    let theirs = ben.client.fetch_conversation(ann.service_id(&talk).await);
    theirs
        .await
        .unwrap()
        .send_text("read me".into(), None)
        .await
        .unwrap();
    ann.until("the message", || async {
        let unread = talk.info().await.ok()?.unread.count;
        (unread == 1).then_some(())
    })
    .await;
    ann.client.go_offline().unwrap();
    talk.mark_read(None).await.unwrap();
    assert_eq!(ann.client.outbox().await.unwrap().len(), 1, "a read mark");
    ann.client
        .sign_out(LocalData::Keep, UnsentWork::Refuse)
        .await
        .unwrap();
}

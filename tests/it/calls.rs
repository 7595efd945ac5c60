//! Every asynchronous call that other languages see, one by one: where its caller is woken.
//!
//! The table is compared with the sources, so that no call is forgotten.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use sampan::model::query::ConversationQuery;
use sampan::model::{
    ConversationId, ForeignMessage, HistoryQuery, ItemKey, Json, LocalId, MediaFile, MediaSource,
    Mentions, MessageContent, MessageId, MessageKey, NewConversation, NewMedia, NewMessage,
    OutboxEntryId, PushDevice, PushPlatform, Timestamp,
};
use sampan::{
    Client, ClientOptions, Conversation, Download, Engine, LocalData, NetworkChange, PeerGroup,
    PeerSession, Room, RoomLog, RoomOptions, RoomQuery, Rooms, SampanError, Secret, TimelineStart,
    UnsentWork, Version,
};

use crate::place::{Device, PATIENCE, Place, id, in_time};

/// The objects on which the calls are made.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) engine: Arc<Engine>,
    pub(crate) client: Arc<Client>,
    pub(crate) talk: Arc<Conversation>,
    pub(crate) sent: LocalId,
    /// The address of a file that is not there, at a host that answers.
    absent: String,
}

pub(crate) type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes one call; its outcome does not matter here.
pub(crate) type Make = fn(Stage) -> Call;

macro_rules! calls {
    ($($name:literal => |$stage:ident| $call:expr),* $(,)?) => {
        vec![$(($name, (|$stage: Stage| Box::pin(async move { let _ = $call.await; }) as Call) as Make)),*]
    };
}

fn key(digit: &str) -> Secret {
    Secret::new(digit.repeat(64))
}

fn some_conversation() -> ConversationId {
    ConversationId::new("5f0000000000000000000000").unwrap()
}

/// Each call by its object and its name in the sources. Those that end something come last.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<(&'static str, Make)> {
    let mut all = imports();
    all.extend(of_files_and_lists());
    all.extend(of_who_is_online());
    all.extend(of_peers());
    all.extend(of_rooms());
    all.extend(calls! {
        "Client.wait_online" => |it| it.client.wait_online(),
        "Client.next_state" => |it| it.client.next_state(Version::default()),
        "Client.change_store_key" => |it| it.client.change_store_key(key("a"), key("b")),
        "Client.storage_usage" => |it| it.client.storage_usage(),
        "Client.compact" => |it| it.client.compact(),
        "Client.import_inbox" => |it| it.client.import_inbox(),
        "Client.create_conversation" => |it| it.client.create_conversation(NewConversation { members: vec![id("cat")], ..NewConversation::default() }),
        "Client.fetch_conversation" => |it| it.client.fetch_conversation(some_conversation()),
        "Client.conversations" => |it| it.client.conversations(None, 10),
        "Client.unread_totals" => |it| it.client.unread_totals(),
        "Client.outbox" => |it| it.client.outbox(),
        "Client.outbox_list" => |it| it.client.outbox_list(),
        "Client.retry" => |it| it.client.retry(OutboxEntryId(7)),
        "Client.discard" => |it| it.client.discard(OutboxEntryId(7)),
        "Client.focus" => |it| it.client.focus(None),
        "Conversation.info" => |it| it.talk.info(),
        "Conversation.send_text" => |it| it.talk.send_text("hello".to_owned(), None),
        "Conversation.send" => |it| it.talk.send(NewMessage::text("hello")),
        "Conversation.page" => |it| it.talk.page(None, 10),
        "Conversation.page_after" => |it| it.talk.page_after(None, 10),
        "Conversation.fetch_older" => |it| it.talk.fetch_older(10),
        "Conversation.fetch_gap" => |it| async move { if let Some(gap) = gap() { let _ = it.talk.fetch_gap(gap, 10).await; } },
        "Conversation.draft" => |it| it.talk.draft(),
        "Conversation.set_pinned" => |it| it.talk.set_pinned(false),
        "Conversation.set_hidden" => |it| it.talk.set_hidden(false),
        "Conversation.mark_read" => |it| it.talk.mark_read(None),
        "Conversation.mark_read_until" => |it| it.talk.mark_read_until(Timestamp::from_millis(1)),
        "Conversation.fetch_receipts" => |it| it.talk.fetch_receipts(),
        "Conversation.keep_failed" => |it| it.talk.keep_failed(NewMessage::text("kept"), "no photo".to_owned()),
        "Conversation.keep" => |it| it.talk.keep(foreign(it.talk.conversation_id())),
        "Conversation.remove" => |it| it.talk.remove(MessageKey::service(Timestamp::from_millis(7), MessageId::new("m").unwrap())),
        "Conversation.edit" => |it| it.talk.edit(MessageKey::local(it.sent.clone()), MessageContent::text("bye")),
        "Conversation.recall" => |it| it.talk.recall(MessageKey::local(it.sent.clone())),
        "Conversation.message" => |it| it.talk.message(MessageKey::local(it.sent.clone())),
        "Conversation.retry" => |it| it.talk.retry(MessageKey::local(it.sent.clone())),
        "Conversation.discard" => |it| it.talk.discard(MessageKey::local(it.sent.clone())),
        "Conversation.set_name" => |it| it.talk.set_name("tea".to_owned()),
        "Conversation.set_attributes" => |it| it.talk.set_attributes(Json::parse(r#"{"a": 1}"#).unwrap()),
        "Conversation.set_muted" => |it| it.talk.set_muted(true),
        "Conversation.add_members" => |it| it.talk.add_members(vec![id("dan")]),
        "Conversation.remove_members" => |it| it.talk.remove_members(vec![id("dan")]),
        "Conversation.join" => |it| it.talk.join(),
        "Client.join" => |it| it.client.join(it.talk.conversation_id()),
        "Client.mark_all_read" => |it| it.client.mark_all_read(vec![it.talk.conversation_id()]),
        "Conversation.query_history" => |it| it.talk.query_history(HistoryQuery::default()),
        "Conversation.message_by_local_id" => |it| it.talk.message_by_local_id(it.sent.clone()),
        "Conversation.timeline" => |it| it.talk.timeline(None),
        "Timeline.next" => |it| async move { it.talk.timeline(None).await?.next(Version::default()).await },
        "Timeline.load_older" => |it| async move { it.talk.timeline(None).await?.load_older(10).await },
        "Timeline.load_newer" => |it| async move { it.talk.timeline(None).await?.load_newer(10).await },
        "Timeline.jump" => |it| async move { it.talk.timeline(None).await?.jump(TimelineStart::Newest).await },
        "Timeline.fill" => |it| async move { it.talk.timeline(None).await?.fill(ItemKey::Gap(7)).await },
        "Client.conversation_list" => |it| it.client.conversation_list(None),
        "ConversationList.load_more" => |it| async move { it.client.conversation_list(None).await?.load_more(10).await },
        "Client.commit_seq" => |it| it.client.commit_seq(),
        "Client.direct" => |it| it.client.direct(id("cat")),
        "Client.refresh" => |it| it.client.refresh(PATIENCE),
        "Conversation.quit" => |it| it.talk.quit(),
        "Conversation.members" => |it| it.talk.members(None),
        "Conversation.count_members" => |it| it.talk.count_members(),
        "Conversation.set_role" => |it| it.talk.set_role(id("ben"), sampan::model::MemberRole::Manager),
        "Conversation.silence_members" => |it| it.talk.silence_members(vec![id("ben")]),
        "Conversation.unsilence_members" => |it| it.talk.unsilence_members(vec![id("ben")]),
        "Conversation.block_members" => |it| it.talk.block_members(vec![id("cem")]),
        "Conversation.unblock_members" => |it| it.talk.unblock_members(vec![id("cem")]),
        "Conversation.change_attribute" => |it| it.talk.change_attribute("n".to_owned(), sampan::model::AttributeChange::Increment { amount: 1 }),
        "Engine.client" => |it| it.engine.client(id("dan"), ClientOptions::default()),
        "Engine.accounts" => |it| it.engine.accounts(),
        "Engine.wipe_account" => |it| it.engine.wipe_account("0".repeat(40)),
        "Engine.network_changed" => |it| it.engine.network_changed(NetworkChange::Switched),
        "Engine.pause" => |it| it.engine.pause(),
        "Engine.resume" => |it| it.engine.resume(),
        "Client.sign_out" => |it| it.client.sign_out(LocalData::Keep, UnsentWork::KeepIt),
        "Engine.shutdown" => |it| it.engine.shutdown(),
    });
    all
}

/// Files, pushes, queries, lists that are live, and feeds.
#[rustfmt::skip]
fn of_files_and_lists() -> Vec<(&'static str, Make)> {
    calls! {
        "Conversation.send_media" => |it| it.talk.send_media(NewMedia::new(MediaSource::Bytes { data: vec![7; 3_000] })),
        "Download.next" => |it| async move { it.download()?.next(Version::default()).await },
        "Download.file" => |it| async move { it.download()?.file().await },
        "Client.register_push" => |it| it.client.register_push(PushDevice::new(PushPlatform::Ios, "0a".repeat(32))),
        "Client.query_conversations" => |it| it.client.query_conversations(ConversationQuery::default()),
        "Client.count_conversations" => |it| it.client.count_conversations(ConversationQuery::default()),
        "Client.find_conversations" => |it| it.client.find_conversations(ConversationQuery::default()),
        "ConversationList.next" => |it| async move { it.client.conversation_list(None).await?.next(Version::default()).await },
        "OutboxList.next" => |it| async move { it.client.outbox_list().await?.next(Version::default()).await },
        "MemberList.next" => |it| async move { it.talk.members(None).await?.next(Version::default()).await },
        "MemberList.load_more" => |it| async move { it.talk.members(None).await?.load_more(10).await },
        "MemberList.refresh" => |it| async move { it.talk.members(None).await?.refresh().await },
        "EventFeed.next" => |it| async move {
            let feed = it.client.feed(None);
            it.talk.send_text("told".to_owned(), None).await?;
            feed.next(0, 1).await
        },
        "NoticeFeed.next" => |it| async move {
            let feed = PeerSession::new(it.client).notices().await?;
            it.talk.send_text("told".to_owned(), None).await?;
            feed.next().await
        },
    }
}

/// The calls that only the service can answer.
#[rustfmt::skip]
fn of_who_is_online() -> Vec<(&'static str, Make)> {
    calls! {
        "Client.peers" => |it| it.client.peers(vec![id("ben")]),
        "Client.online_of" => |it| it.client.online_of(vec![id("ben")]),
        "Client.watch" => |it| it.client.watch(vec![id("ben")]),
        "Client.watched" => |it| it.client.watched(),
        "Client.unwatch" => |it| it.client.unwatch(vec![id("ben")]),
        "Conversation.fetch_newest" => |it| it.talk.fetch_newest(10),
        "Conversation.inside" => |it| it.talk.inside(10),
    }
}

/// The words of the first generation.
#[rustfmt::skip]
fn of_peers() -> Vec<(&'static str, Make)> {
    calls! {
        "PeerSession.open" => |it| it.session().open(vec![id("ben")]),
        "PeerSession.watch" => |it| it.session().watch(vec![id("ben")]),
        "PeerSession.is_watching" => |it| it.session().is_watching(id("ben")),
        "PeerSession.status" => |it| it.session().status(vec![id("ben")]),
        "PeerSession.send" => |it| it.session().send(NewMessage::text("hello"), vec![id("ben")]),
        "PeerSession.unwatch" => |it| it.session().unwatch(vec![id("ben")]),
        "PeerSession.create_group" => |it| it.session().create_group(),
        "PeerSession.join_group" => |it| it.session().join_group(it.talk.conversation_id()),
        "PeerSession.group" => |it| it.session().group(it.talk.conversation_id()),
        "PeerSession.groups" => |it| it.session().groups(),
        "PeerSession.notices" => |it| it.session().notices(),
        "PeerGroup.id" => |it| async move { it.group().await?.id().await },
        "PeerGroup.members" => |it| async move { it.group().await?.members().await },
        "PeerGroup.join" => |it| async move { it.group().await?.join().await },
        "PeerGroup.invite" => |it| async move { it.group().await?.invite(vec![id("dan")]).await },
        "PeerGroup.kick" => |it| async move { it.group().await?.kick(vec![id("dan")]).await },
        "PeerGroup.send" => |it| async move { it.group().await?.send(NewMessage::text("hello")).await },
        "PeerGroup.leave" => |it| async move { it.session().create_group().await?.leave().await },
    }
}

/// The words of the second generation.
#[rustfmt::skip]
fn of_rooms() -> Vec<(&'static str, Make)> {
    calls! {
        "Rooms.create" => |it| it.rooms().create(RoomOptions { transient: true, ..RoomOptions::default() }),
        "Rooms.get" => |it| it.rooms().get(it.talk.conversation_id()),
        "Rooms.query" => |it| it.rooms().query(RoomQuery::default()),
        "Rooms.notices" => |it| it.rooms().notices(),
        "Room.add" => |it| async move { it.room().await?.add(vec![id("dan")]).await },
        "Room.remove" => |it| async move { it.room().await?.remove(vec![id("dan")]).await },
        "Room.join" => |it| async move { it.room().await?.join().await },
        "Room.list" => |it| async move { it.room().await?.list().await },
        "Room.count" => |it| async move { it.room().await?.count().await },
        "Room.send" => |it| async move { it.room().await?.send(Json::parse(r#"{"a": 1}"#).unwrap(), false).await },
        "Room.send_message" => |it| async move { it.room().await?.send_message(NewMessage::text("hello")).await },
        "Room.log" => |it| async move { it.room().await?.log(RoomLog::default()).await },
        "Room.notices" => |it| async move { it.room().await?.notices().await },
        "Room.leave" => |it| async move { it.rooms().create(RoomOptions::default()).await?.leave().await },
    }
}

/// The calls that are there with the feature `import-legacy` alone.
fn imports() -> Vec<(&'static str, Make)> {
    #[cfg(feature = "import-legacy")]
    return calls! {
        "Client.import_legacy" => |it| it.client.import_legacy(sampan::LegacySource { path: "none".into(), scope: sampan::LegacyScope::AllConversations }, None),
    };
    #[cfg(not(feature = "import-legacy"))]
    Vec::new()
}

fn foreign(conversation: ConversationId) -> ForeignMessage {
    ForeignMessage {
        conversation,
        id: MessageId::new("m").unwrap(),
        sender: id("ben"),
        sent_at: Timestamp::from_millis(7),
        content: MessageContent::text("from a push"),
        mentions: Mentions::default(),
    }
}

/// A gap at the older end of everything.
fn gap() -> Option<sampan::TimelineGap> {
    Some(sampan::TimelineGap {
        older: None,
        newer: None,
    })
}

/// The asynchronous calls by object and name, read from all sources of the API.
fn exported() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("legacy.rs") && !cfg!(feature = "import-legacy") {
            continue;
        }
        assert!(path.is_file(), "a folder of the API: read it here, too");
        let mut object = None;
        for line in std::fs::read_to_string(path).unwrap().lines() {
            if let Some(rest) = line.strip_prefix("impl ") {
                object = rest.strip_suffix(" {").map(str::to_owned);
            }
            if let Some(rest) = line.trim().strip_prefix("pub async fn ") {
                let name = rest.split(['(', '<']).next().unwrap();
                names.insert(format!("{}.{name}", object.as_ref().unwrap()));
            }
        }
    }
    names
}

impl Stage {
    /// A client that is online, in a conversation that the service knows.
    pub(crate) async fn set(place: &Place) -> Self {
        let host = format!("http://{}", place.service.addr());
        let mut config = place.config("phone");
        config.api_url = Some(host.clone());
        let ann = Device::open(config, "ann").await;
        ann.go_online().await;
        let talk = ann.talk_to("ben").await;
        let sent = talk
            .send_text("first".to_owned(), None)
            .await
            .unwrap()
            .local_id;
        ann.has_sent_everything().await;
        Self {
            engine: ann.engine,
            client: ann.client,
            talk,
            sent,
            absent: format!("{host}/no/such/file"),
        }
    }

    fn download(&self) -> Result<Arc<Download>, SampanError> {
        self.client.download(MediaFile::at(self.absent.clone()))
    }

    fn session(&self) -> Arc<PeerSession> {
        PeerSession::new(Arc::clone(&self.client))
    }

    async fn group(&self) -> Result<Arc<PeerGroup>, SampanError> {
        self.session().group(self.talk.conversation_id()).await
    }

    fn rooms(&self) -> Arc<Rooms> {
        Rooms::new(Arc::clone(&self.client))
    }

    async fn room(&self) -> Result<Arc<Room>, SampanError> {
        let found = self.rooms().get(self.talk.conversation_id()).await?;
        found.ok_or(SampanError::NotConnected)
    }
}

/// A waker of an app that tells which thread calls it, and may stay there.
struct AppWaker {
    woken: Mutex<Sender<String>>,
    stays: Option<Mutex<Receiver<()>>>,
}

impl Wake for AppWaker {
    fn wake(self: Arc<Self>) {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = self.woken.lock().unwrap().send(thread);
        if let Some(until) = &self.stays {
            let _ = until.lock().unwrap().recv();
        }
    }
}

/// Polls a call to its end with wakers that tell their thread; gives the threads.
fn threads_of(mut call: Call) -> BTreeSet<String> {
    let (woken, wakes) = channel();
    let waker = Waker::from(Arc::new(AppWaker {
        woken: Mutex::new(woken),
        stays: None,
    }));
    let mut threads = BTreeSet::new();
    while call
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        threads.insert(wakes.recv_timeout(PATIENCE).expect("the call goes on"));
    }
    threads
}

#[test]
fn the_table_lists_every_exported_asynchronous_call() {
    let listed: BTreeSet<_> = all().into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(listed, exported());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_wakes_its_caller_on_a_thread_that_another_call_needs() {
    let place = Place::new().await;
    let stage = Stage::set(&place).await;
    for (name, make) in all() {
        let call = make(stage.clone());
        let threads = tokio::task::spawn_blocking(move || threads_of(call));
        for thread in threads.await.unwrap() {
            assert_eq!(thread, "sampan-caller", "{name}");
        }
    }
}

/// Polls a call once with a waker that stays where it is called until `until` is dropped; gives a receiver that hears
/// of the waker's call, or none when the call had its answer at once.
fn begin_and_block(call: &mut Call, until: Receiver<()>) -> Option<Receiver<String>> {
    let (woken, wakes) = channel();
    let waker = Waker::from(Arc::new(AppWaker {
        woken: Mutex::new(woken),
        stays: Some(Mutex::new(until)),
    }));
    let polled = call.as_mut().poll(&mut Context::from_waker(&waker));
    (polled == Poll::Pending).then_some(wakes)
}

#[tokio::test(flavor = "multi_thread")]
async fn wakers_that_block_for_ever_hold_up_no_other_call_and_no_other_client() {
    let place = Place::new().await;
    let stage = Stage::set(&place).await;
    let dan = stage.engine.client(id("dan"), ClientOptions::default());
    let dan = dan.await.unwrap();
    let (mut ends, mut calls) = (Vec::new(), Vec::new());
    let short = [
        "Conversation.send_text",
        "Conversation.send_media",
        "Conversation.page",
        "Conversation.info",
        "Client.outbox",
        "Client.watched",
        "Client.query_conversations",
        "MemberList.refresh",
        "Conversation.mark_read",
        "Conversation.fetch_older",
        "Client.focus",
    ];
    let calls_of_all = all().into_iter();
    let makes = calls_of_all.filter(|(name, _)| short.contains(name));
    for (_, make) in makes.cycle() {
        let (end, wait) = channel();
        let mut call = make(stage.clone());
        if let Some(woken) = begin_and_block(&mut call, wait) {
            calls.push((woken, call));
            ends.push(end);
        }
        if calls.len() == 100 {
            break;
        }
    }
    let threads = tokio::task::spawn_blocking(move || {
        let told = |(woken, _): &(Receiver<String>, Call)| woken.recv_timeout(PATIENCE);
        calls.iter().map(told).collect::<Result<BTreeSet<_>, _>>()
    });
    let threads = threads.await.unwrap().expect("each call is answered");
    assert_eq!(threads, BTreeSet::from(["sampan-caller".to_owned()]));
    let ben = place.online("laptop", "ben").await;
    let rest = async {
        stage
            .talk
            .send_text("second".to_owned(), None)
            .await
            .unwrap();
        stage.talk.page(None, 10).await.unwrap();
        dan.go_online(None).unwrap();
        dan.wait_online().await.unwrap();
        dan.unread_totals().await.unwrap();
        stage.talk.info().await.unwrap().id
    };
    let talk = tokio::time::timeout(PATIENCE, rest).await.unwrap();
    ben.until("the second message", || async {
        let lines = ben.lines(&talk).await.ok()?;
        (lines.last()? == "ann: second").then_some(())
    })
    .await;
    drop(ends);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_handle_may_go_inside_a_waker_and_everything_ends() {
    let place = Place::new().await;
    let stage = Stage::set(&place).await;
    let folder = place.config("phone");
    let Stage {
        engine,
        client,
        talk,
        ..
    } = stage;
    let call: Call = Box::pin(async move {
        let _ = talk.send_text("last".to_owned(), None).await;
    });
    let (woken, wakes) = channel();
    let held = Mutex::new(Some((engine, client)));
    let waker = Waker::from(Arc::new(DropsIn {
        woken: Mutex::new(woken),
        held,
    }));
    let mut call = call;
    let polled = call.as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(polled, Poll::Pending);
    wakes.recv_timeout(PATIENCE).unwrap();
    drop(call);
    // The store is free again: the engine ended though its last handle went on its own thread.
    let opened = async {
        loop {
            let again = Engine::open(folder.clone()).unwrap();
            match again.client(id("ann"), ClientOptions::default()).await {
                Ok(client) => return client.client_id(),
                Err(error) => assert!(matches!(error, SampanError::StoreInUse { .. }), "{error}"),
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(in_time("the store", opened).await, id("ann"));
}

/// A waker that gives up every handle that it holds.
struct DropsIn<T> {
    woken: Mutex<Sender<()>>,
    held: Mutex<Option<T>>,
}

impl<T: Send> Wake for DropsIn<T> {
    fn wake(self: Arc<Self>) {
        drop(self.held.lock().unwrap().take());
        let _ = self.woken.lock().unwrap().send(());
    }
}

//! Every asynchronous call that other languages see, one by one: where its caller is woken.
//!
//! The table is compared with the sources, so that no call is forgotten.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use sampan::model::{
    ConversationId, ForeignMessage, HistoryQuery, ItemKey, Json, LocalId, Mentions, MessageContent,
    MessageId, MessageKey, NewConversation, NewMessage, OutboxEntryId, Timestamp,
};
use sampan::{
    Client, ClientOptions, Conversation, Engine, LocalData, NetworkChange, Secret, TimelineStart,
    UnsentWork, Version,
};

use crate::place::{PATIENCE, Place, id, in_time};

/// The objects on which the calls are made.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) engine: Arc<Engine>,
    pub(crate) client: Arc<Client>,
    pub(crate) talk: Arc<Conversation>,
    pub(crate) sent: LocalId,
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

/// Each call by its name in the sources. Those that end something come last.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<(&'static str, Make)> {
    let mut all = imports();
    all.extend(calls! {
        "wait_online" => |it| it.client.wait_online(),
        "next_state" => |it| it.client.next_state(Version::default()),
        "change_store_key" => |it| it.client.change_store_key(key("a"), key("b")),
        "storage_usage" => |it| it.client.storage_usage(),
        "compact" => |it| it.client.compact(),
        "import_inbox" => |it| it.client.import_inbox(),
        "create_conversation" => |it| it.client.create_conversation(NewConversation { members: vec![id("cat")], ..NewConversation::default() }),
        "fetch_conversation" => |it| it.client.fetch_conversation(some_conversation()),
        "conversations" => |it| it.client.conversations(None, 10),
        "unread_totals" => |it| it.client.unread_totals(),
        "outbox" => |it| it.client.outbox(),
        "outbox_list" => |it| it.client.outbox_list(),
        "retry" => |it| it.client.retry(OutboxEntryId(7)),
        "discard" => |it| it.client.discard(OutboxEntryId(7)),
        "focus" => |it| it.client.focus(None),
        "info" => |it| it.talk.info(),
        "send_text" => |it| it.talk.send_text("hello".to_owned(), None),
        "send" => |it| it.talk.send(NewMessage::text("hello")),
        "page" => |it| it.talk.page(None, 10),
        "page_after" => |it| it.talk.page_after(None, 10),
        "fetch_older" => |it| it.talk.fetch_older(10),
        "fetch_gap" => |it| async move { if let Some(gap) = gap() { let _ = it.talk.fetch_gap(gap, 10).await; } },
        "draft" => |it| it.talk.draft(),
        "set_pinned" => |it| it.talk.set_pinned(false),
        "set_hidden" => |it| it.talk.set_hidden(false),
        "mark_read" => |it| it.talk.mark_read(None),
        "mark_read_until" => |it| it.talk.mark_read_until(Timestamp::from_millis(1)),
        "fetch_receipts" => |it| it.talk.fetch_receipts(),
        "keep_failed" => |it| it.talk.keep_failed(NewMessage::text("kept"), "no photo".to_owned()),
        "keep" => |it| it.talk.keep(foreign(it.talk.conversation_id())),
        "remove" => |it| it.talk.remove(MessageKey::service(Timestamp::from_millis(7), MessageId::new("m").unwrap())),
        "edit" => |it| it.talk.edit(MessageKey::local(it.sent.clone()), MessageContent::text("bye")),
        "recall" => |it| it.talk.recall(MessageKey::local(it.sent.clone())),
        "message" => |it| it.talk.message(MessageKey::local(it.sent.clone())),
        "retry" => |it| it.talk.retry(MessageKey::local(it.sent.clone())),
        "discard" => |it| it.talk.discard(MessageKey::local(it.sent.clone())),
        "set_name" => |it| it.talk.set_name("tea".to_owned()),
        "set_attributes" => |it| it.talk.set_attributes(Json::parse(r#"{"a": 1}"#).unwrap()),
        "set_muted" => |it| it.talk.set_muted(true),
        "add_members" => |it| it.talk.add_members(vec![id("dan")]),
        "remove_members" => |it| it.talk.remove_members(vec![id("dan")]),
        "join" => |it| it.client.join(it.talk.conversation_id()),
        "mark_all_read" => |it| it.client.mark_all_read(vec![it.talk.conversation_id()]),
        "query_history" => |it| it.talk.query_history(HistoryQuery::default()),
        "message_by_local_id" => |it| it.talk.message_by_local_id(it.sent.clone()),
        "timeline" => |it| it.talk.timeline(None),
        "next" => |it| async move { it.talk.timeline(None).await?.next(Version::default()).await },
        "load_older" => |it| async move { it.talk.timeline(None).await?.load_older(10).await },
        "load_newer" => |it| async move { it.talk.timeline(None).await?.load_newer(10).await },
        "jump" => |it| async move { it.talk.timeline(None).await?.jump(TimelineStart::Newest).await },
        "fill" => |it| async move { it.talk.timeline(None).await?.fill(ItemKey::Gap(7)).await },
        "conversation_list" => |it| it.client.conversation_list(None),
        "load_more" => |it| async move { it.client.conversation_list(None).await?.load_more(10).await },
        "commit_seq" => |it| it.client.commit_seq(),
        "direct" => |it| it.client.direct(id("cat")),
        "refresh" => |it| it.client.refresh(PATIENCE),
        "quit" => |it| it.talk.quit(),
        "members" => |it| it.talk.members(None),
        "count_members" => |it| it.talk.count_members(),
        "set_role" => |it| it.talk.set_role(id("ben"), sampan::model::MemberRole::Manager),
        "silence_members" => |it| it.talk.silence_members(vec![id("ben")]),
        "unsilence_members" => |it| it.talk.unsilence_members(vec![id("ben")]),
        "block_members" => |it| it.talk.block_members(vec![id("cem")]),
        "unblock_members" => |it| it.talk.unblock_members(vec![id("cem")]),
        "change_attribute" => |it| it.talk.change_attribute("n".to_owned(), sampan::model::AttributeChange::Increment { amount: 1 }),
        "client" => |it| it.engine.client(id("dan"), ClientOptions::default()),
        "accounts" => |it| it.engine.accounts(),
        "wipe_account" => |it| it.engine.wipe_account("0".repeat(40)),
        "network_changed" => |it| it.engine.network_changed(NetworkChange::Switched),
        "pause" => |it| it.engine.pause(),
        "resume" => |it| it.engine.resume(),
        "sign_out" => |it| it.client.sign_out(LocalData::Keep, UnsentWork::KeepIt),
        "shutdown" => |it| it.engine.shutdown(),
    });
    all
}

/// The calls that are there with the feature `import-legacy` alone.
fn imports() -> Vec<(&'static str, Make)> {
    #[cfg(feature = "import-legacy")]
    return calls! {
        "import_legacy" => |it| it.client.import_legacy(sampan::LegacySource { path: "none".into(), scope: sampan::LegacyScope::AllConversations }, None),
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

/// The names of the asynchronous calls, read from the sources.
fn exported() -> BTreeSet<String> {
    let sources = [
        include_str!("../../src/api/changes.rs"),
        #[cfg(feature = "import-legacy")]
        include_str!("../../src/api/legacy.rs"),
        include_str!("../../src/api/client.rs"),
        include_str!("../../src/api/conversation.rs"),
        include_str!("../../src/api/conversation_list.rs"),
        include_str!("../../src/api/engine.rs"),
        include_str!("../../src/api/event_feed.rs"),
        include_str!("../../src/api/history.rs"),
        include_str!("../../src/api/outbox_list.rs"),
        include_str!("../../src/api/pages.rs"),
        include_str!("../../src/api/timeline.rs"),
    ];
    let names = sources.iter().flat_map(|text| {
        let parts = text.split("pub async fn ").skip(1);
        parts.filter_map(|part| Some(part.split(['(', '<']).next()?.to_owned()))
    });
    names.collect()
}

impl Stage {
    /// A client that is online, in a conversation that the service knows.
    pub(crate) async fn set(place: &Place) -> Self {
        let ann = place.online("phone", "ann").await;
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
        }
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
        "send_text",
        "page",
        "info",
        "outbox",
        "mark_read",
        "fetch_older",
        "focus",
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
                Err(error) => assert!(
                    matches!(error, sampan::SampanError::StoreInUse { .. }),
                    "{error}"
                ),
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

//! The loop over a store in memory and a transport in memory: what a failing disk leads to.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Duration, timeout};

use super::callers::Callers;
use super::client_parts::OpenedClient;
use super::driver::Driver;
use super::inbox::{Imports, leave};
use super::mailbox::Mailbox;
use super::outward::Outward;
use super::publish::{EventStream, Scope};
use super::{ClientCore, OpenOptions, Runtime};
use crate::model::{
    AppId, ClientId, ConversationId, Event, Mentions, MessageContent, NewConversation, NewMessage,
    SessionState, StoreHealth, Timestamp,
};
use crate::model::{LocalData, UnsentWork};
use crate::net::{
    Connection, Incoming, MemoryPeer, MemoryTransport, NetFuture, Response, SocketTarget, Transport,
};
use crate::store::{Fault, Inbox, Intent, MemoryDisk, SendIntent, Store};
use crate::sync::{
    Call, Connect, CreateConversation, Disconnect, Done, Enqueued, SendMessage, SignIn,
};
use crate::threads::Threads;
use crate::wire::generated::{DirectCommand, SessionCommand};
use crate::wire::{Command, Direction, Encoding, Envelope, Frame, Op};
use crate::{Config, SampanError, ServerAddress};

/// A loop with one client on a disk that fails on demand.
struct Scene {
    mailbox: Mailbox,
    events: EventStream,
    disk: MemoryDisk,
    peer: MemoryPeer,
    ann: ClientId,
    core: Arc<ClientCore>,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        Self::on(MemoryDisk::new(7), None)
    }

    fn on(disk: MemoryDisk, inbox: Option<Inbox>) -> Self {
        let ann = ClientId::new("ann").unwrap();
        let server = ServerAddress::Socket {
            url: "ws://memory/".to_owned(),
        };
        let config = Config::new(AppId::new("app").unwrap(), "key", server, "/nowhere");
        let (transport, peer) = MemoryTransport::pair();
        let outward = Outward::new(Callers::inline());
        let board = Arc::clone(&outward.board);
        let (mailbox, waiting) = Mailbox::new(Callers::inline(), board);
        let events = EventStream::new(outward.publisher.subscribe(Scope::Engine));
        let files = Threads::new("files", 1);
        let mut driver = Driver::new(config, Arc::new(transport), waiting, outward, files);
        let mut opened = OpenedClient::in_memory(&disk, &ann);
        opened.parts.imports = Imports::new(inbox);
        let store = opened.open.store.clone();
        let core = Arc::clone(&opened.parts.core);
        driver.admit(opened);
        tokio::spawn(driver.run());
        Self {
            mailbox,
            events,
            disk,
            peer,
            ann,
            core,
            store,
        }
    }

    async fn ask<C: Call>(&self, call: C) -> Result<C::Answer, SampanError> {
        self.mailbox.request(&self.ann, call).await
    }

    async fn talk(&self) -> ConversationId {
        let conversation = NewConversation {
            members: vec![ClientId::new("ben").unwrap()],
            ..NewConversation::default()
        };
        let created = self.ask(CreateConversation { conversation }).await;
        created.unwrap().conversation
    }

    async fn say(
        &self,
        conversation: &ConversationId,
        words: &str,
    ) -> Result<Enqueued, SampanError> {
        let conversation = conversation.clone();
        let message = NewMessage::text(words);
        self.ask(SendMessage {
            conversation,
            message,
        })
        .await
    }

    /// Lets every write from now on fail, or none.
    fn fail_writes(&self, fails: bool) {
        let operation = self.disk.operations() + 1;
        self.disk
            .set_fault(fails.then_some(Fault::From { operation }));
    }

    async fn health(&mut self) -> StoreHealth {
        let told = async {
            loop {
                if let Event::StoreHealthChanged { health, .. } = self.events.next().await.unwrap()
                {
                    return health;
                }
            }
        };
        timeout(Duration::from_secs(300), told).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_told_and_reads_go_on_until_writing_works_again() {
    let mut scene = Scene::new();
    let talk = scene.talk().await;
    scene.say(&talk, "one").await.unwrap();
    scene.fail_writes(true);
    let refusal = scene.say(&talk, "two").await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::StoreUnavailable { .. }),
        "{refusal}"
    );
    assert!(matches!(scene.health().await, StoreHealth::ReadOnly { .. }));
    let refusal = scene.say(&talk, "three").await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::StoreUnavailable { .. }),
        "{refusal}"
    );
    assert_eq!(
        scene.store.snapshot().outbox_len(),
        2,
        "reads answer as before"
    );
    scene.fail_writes(false);
    assert_eq!(scene.health().await, StoreHealth::Good);
    scene.say(&talk, "four").await.unwrap();
    let snapshot = scene.store.snapshot();
    assert_eq!(
        snapshot.outbox_len(),
        3,
        "what failed was not stored, what was promised was"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_write_the_socket_is_closed_and_opened_again_once_writing_works() {
    let mut scene = Scene::new();
    let talk = scene.talk().await;
    let mode = SignIn::TakeOver;
    scene.ask(Connect { mode }).await.unwrap();
    let mut first = scene.peer.accept().await.unwrap();
    assert!(
        first.from_engine.recv().await.is_some(),
        "a session is asked for"
    );
    scene.fail_writes(true);
    scene.say(&talk, "lost").await.unwrap_err();
    assert_eq!(first.from_engine.recv().await, None, "the socket is closed");
    scene.fail_writes(false);
    let mut second = scene.peer.accept().await.unwrap();
    assert!(
        second.from_engine.recv().await.is_some(),
        "and a session asked for again"
    );
}

/// The loop is cut off at any disk operation while it takes what was left; then it starts again.
#[tokio::test(start_paused = true)]
async fn what_was_left_is_enqueued_once_wherever_the_import_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let ann = ClientId::new("ann").unwrap();
    let talk = ConversationId::new("5f0000000000000000000000").unwrap();
    for nth in 1..=40 {
        let disk = MemoryDisk::new(nth);
        drop(Store::in_memory(&disk, ann.clone()).unwrap());
        let inbox = Inbox::new(folder.path().join(nth.to_string()), ann.clone(), None);
        let intent = Intent::Send(SendIntent {
            content: MessageContent::text("left"),
            mentions: Mentions::default(),
            receipt: false,
            transient: false,
            push: None,
            priority: None,
            will: false,
            upload: None,
        });
        leave(&inbox, talk.clone(), intent).unwrap();
        let operation = disk.operations() + nth;
        disk.set_fault(Some(Fault::From { operation }));
        let scene = Scene::on(disk.clone(), Some(inbox.clone()));
        scene.mailbox.shutdown().await.unwrap();
        drop(scene);
        disk.crash();
        let scene = Scene::on(disk, Some(inbox.clone()));
        assert_eq!(scene.store.snapshot().outbox_len(), 1, "operation {nth}");
        let waiting = inbox.read(10, &BTreeSet::new(), Timestamp::ZERO).unwrap();
        assert_eq!(waiting.dropped, [], "operation {nth}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_is_closed_and_the_others_are_not() {
    let scene = Scene::new();
    let signed_out = scene
        .mailbox
        .sign_out(&scene.core, LocalData::Keep, UnsentWork::KeepIt);
    signed_out.await.unwrap();
    let refusal = scene.ask(Disconnect).await.unwrap_err();
    assert_eq!(refusal, SampanError::SignedOut);
    scene.mailbox.shutdown().await.unwrap();
    assert_eq!(
        scene.mailbox.resume().await.unwrap_err(),
        SampanError::ShutDown
    );
}

/// Plays the service: answers the request for a session, then sends messages without a pause.
async fn send_many(
    from_engine: &mut Receiver<Frame<'static>>,
    to_engine: &Sender<Incoming>,
    ann: &ClientId,
    many: i64,
) {
    let frame = from_engine.recv().await.unwrap();
    let request = frame
        .decode(Encoding::Binary, Direction::ToService)
        .unwrap();
    let opened = SessionCommand {
        st: Some("token".to_owned()),
        st_ttl: Some(3600),
        ..SessionCommand::default()
    };
    let opened = request.reply(Command::session(Op::Opened, opened));
    let message = |n: i64| {
        let direct = DirectCommand {
            cid: Some("c".to_owned()),
            id: Some(format!("m{n}")),
            from_peer_id: Some("ben".to_owned()),
            timestamp: Some(n),
            msg: Some("hello".to_owned()),
            conv_type: Some(1),
            ..DirectCommand::default()
        };
        Envelope::notification(
            ann.as_str(),
            Timestamp::from_millis(n),
            Command::direct(direct),
        )
    };
    for envelope in std::iter::once(opened).chain((1..=many).map(message)) {
        let frame = Frame::encode(&envelope, Encoding::Binary, Direction::ToClient).unwrap();
        to_engine.try_send(Incoming::Frame(frame)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_app_says_is_not_one_commit_with_what_the_service_brought_meanwhile() {
    let mut scene = Scene::new();
    let talk = scene.talk().await;
    let mode = SignIn::TakeOver;
    scene.ask(Connect { mode }).await.unwrap();
    let mut connection = scene.peer.accept().await.unwrap();
    // Both are there when the loop looks next.
    let ann = scene.ann.clone();
    send_many(&mut connection.from_engine, &connection.to_engine, &ann, 40).await;
    scene.say(&talk, "mine").await.unwrap();
    let (mut said, mut brought) = (BTreeSet::new(), Vec::new());
    while brought.len() < 40 || said.is_empty() {
        match scene.events.next().await.unwrap() {
            Event::MessageAdded { seq, message, .. } if message.sender == ann => {
                said.insert(seq);
            }
            Event::MessageAdded { seq, .. } => brought.push(seq),
            _ => {}
        }
    }
    assert!(brought.iter().all(|seq| !said.contains(seq)));
}

/// In real time: a thread works on the store, and a clock that stands still would jump ahead meanwhile.
#[tokio::test]
async fn going_offline_on_a_line_that_is_dead_does_not_wait_for_the_service() {
    let mut scene = Scene::new();
    let mode = SignIn::TakeOver;
    scene.ask(Connect { mode }).await.unwrap();
    let mut connection = scene.peer.accept().await.unwrap();
    let ann = scene.ann.clone();
    send_many(&mut connection.from_engine, &connection.to_engine, &ann, 0).await;
    let mut session = scene.core.board.watch_session();
    session
        .wait_for(|state| *state == SessionState::Open)
        .await
        .unwrap();
    // From here on the service says nothing, and a request waits for 20 seconds.
    let at_once = Duration::from_secs(10);
    let offline = timeout(at_once, scene.ask(Disconnect)).await;
    assert_eq!(offline.expect("it is offline at once"), Ok(Done));
    assert_eq!(scene.core.board.session(), SessionState::Closed);
    scene.ask(Connect { mode }).await.unwrap();
    let signed_out = scene
        .mailbox
        .sign_out(&scene.core, LocalData::Keep, UnsentWork::KeepIt);
    let signed_out = timeout(at_once, signed_out).await;
    assert_eq!(signed_out.expect("it is signed out at once"), Ok(()));
}

#[tokio::test]
async fn without_a_thread_to_be_had_work_on_the_store_is_a_typed_error() {
    let outcome = super::blocking::blocking(&Threads::none(), || Ok(7)).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, SampanError::NoResources { .. }), "{error}");
    assert!(error.is_retryable());
    // A panic of the work is an error of the call and costs no thread.
    let threads = Threads::new("files", 1);
    let outcome = super::blocking::blocking::<u32>(&threads, || panic!("broken")).await;
    assert!(matches!(outcome, Err(SampanError::Internal { .. })));
    assert_eq!(super::blocking::blocking(&threads, || Ok(7)).await, Ok(7));
}

/// A transport that brings the loop down.
struct Faulty;

impl Transport for Faulty {
    fn connect(&self, _: SocketTarget) -> NetFuture<Connection> {
        panic!("a fault in the loop");
    }

    fn get(&self, _: String, _: Duration) -> NetFuture<Response> {
        panic!("a fault in the loop");
    }
}

#[tokio::test]
async fn a_loop_that_panics_tells_everybody_who_waits_or_watches() {
    let root = tempfile::tempdir().unwrap();
    let server = ServerAddress::Socket {
        url: "ws://memory/".to_owned(),
    };
    let config = Config::new(AppId::new("app").unwrap(), "key", server, root.path());
    let runtime = Runtime::start_with(config, Arc::new(Faulty), Vec::new()).unwrap();
    let ann = ClientId::new("ann").unwrap();
    let core = runtime.open_client(ann.clone(), OpenOptions::default());
    let core = core.await.unwrap();
    let events = EventStream::new(runtime.subscribe(Scope::Engine));
    let mode = SignIn::TakeOver;
    // Its answer may be lost with the loop.
    let _ = runtime.mailbox().request(&ann, Connect { mode }).await;
    let events: Vec<_> = events.collect().await;
    let closed = Event::SessionChanged {
        client: ann.clone(),
        state: SessionState::Closed,
    };
    assert_eq!(events.last(), Some(&closed), "{events:?}");
    assert!(core.store.is_closed());
    assert_eq!(core.board.session(), SessionState::Closed);
    assert!(runtime.board().is_over());
    assert_eq!(runtime.shutdown().await, Err(SampanError::ShutDown));
    // The store that was open is free again.
    core.store.freed().await;
}

//! Signatures, options and missed messages, as the guides of the first two generations tell of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use sampan::model::{
    ClientId, ConversationState, Json, MessageContent, NewMessage, OutboxState, ParsedMessage,
    SendFailure,
};
use sampan::wire::signature::{SignedAction, SignedOperation};
use sampan::{
    Client, ClientOptions, Conversation, Engine, EnginePlugin, OfflineMode, OperationSignature,
    PeerSession, RoomOptions, Rooms, SampanError, Secret, SessionNotice, Signer, SigningRequest,
    escape_html,
};

use crate::notices::{hears, told};
use crate::place::{Device, Place, app, id};

/// An app's server of the first generation: it signs groups by their actions, and counts in seconds.
#[derive(Default)]
struct Clerk {
    asked: Mutex<Vec<SigningRequest>>,
    /// It takes every action for the removal of somebody.
    is_confused: AtomicBool,
}

impl Clerk {
    fn count(&self, is_it: impl Fn(&SigningRequest) -> bool) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|it| is_it(it))
            .count()
    }

    /// The group, the peers and the name of an action, as the first generation has them.
    fn group_action(request: &SigningRequest) -> Option<(&str, &[ClientId], &'static str)> {
        Some(match request {
            SigningRequest::StartConversation { client, members } => {
                assert_eq!(members, std::slice::from_ref(client), "a group of one");
                ("", &[], "join")
            }
            SigningRequest::AddMembers {
                client,
                conversation,
                members,
            } => match members.as_slice() == std::slice::from_ref(client) {
                true => (conversation.as_str(), &[], "join"),
                false => (conversation.as_str(), members, "invite"),
            },
            SigningRequest::RemoveMembers {
                conversation,
                members,
                ..
            } => (conversation.as_str(), members, "kick"),
            _ => return None,
        })
    }
}

#[async_trait::async_trait]
impl Signer for Clerk {
    #[expect(clippy::disallowed_methods, reason = "the app's server has a clock")]
    async fn sign(&self, request: SigningRequest) -> Result<OperationSignature, SampanError> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.clone());
            asked.len()
        };
        let nonce = format!("n0nce-{number}");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let timestamp = i64::try_from(since.as_secs()).unwrap();
        let (SigningRequest::SignIn { client: client_id }
        | SigningRequest::Watch {
            client: client_id, ..
        }
        | SigningRequest::StartConversation {
            client: client_id, ..
        }
        | SigningRequest::AddMembers {
            client: client_id, ..
        }
        | SigningRequest::RemoveMembers {
            client: client_id, ..
        }
        | SigningRequest::BlockMembers {
            client: client_id, ..
        }
        | SigningRequest::UnblockMembers {
            client: client_id, ..
        }) = &request;
        let action = match (&request, Self::group_action(&request)) {
            (_, Some((group, peers, action))) => SignedAction::Group {
                group,
                peers,
                action: match self.is_confused.load(Ordering::Relaxed) {
                    true => "kick",
                    false => action,
                },
            },
            (SigningRequest::Watch { peers, .. }, None) => SignedAction::Watch { peers },
            (_, None) => SignedAction::Login,
        };
        let operation = SignedOperation {
            app_id: &app(),
            client_id,
            action,
            timestamp,
            nonce: &nonce,
        };
        Ok(OperationSignature {
            signature: Secret::new(operation.sign("it-master-key")),
            timestamp,
            nonce,
            allowed: None,
        })
    }
}

async fn signed(place: &Place, name: &str, client: &str, each: bool) -> (Device, Arc<Clerk>) {
    let clerk = Arc::new(Clerk::default());
    let engine = Engine::open(place.config(name)).unwrap();
    let options = ClientOptions {
        signer: Some(Arc::clone(&clerk) as Arc<dyn Signer>),
        signs_each_connection: each,
        ..ClientOptions::default()
    };
    let client = engine.client(id(client), options).await.unwrap();
    (Device { engine, client }, clerk)
}

const EVERYTHING: &str = r#"{"signatures":{"login":true,"conversation":true}}"#;

/// S334: a server that signs groups as the first generation does is served: creating, joining, inviting and removing,
/// each with its action, the id of the group and the peers; leaving is not signed. The signature of another action is
/// refused.
#[tokio::test]
async fn a_server_of_the_first_generation_signs_what_is_done_with_groups() {
    let place = Place::with_settings(EVERYTHING).await;
    let (ann, anns_clerk) = signed(&place, "phone", "ann", false).await;
    let (ben, bens_clerk) = signed(&place, "laptop", "ben", false).await;
    let anns = PeerSession::new(Arc::clone(&ann.client));
    let bens = PeerSession::new(Arc::clone(&ben.client));
    let to_ben = bens.notices().await.unwrap();
    anns.open(vec![id("ben")]).await.unwrap();
    bens.open(vec![id("ann")]).await.unwrap();
    let group = anns.create_group().await.unwrap();
    let conversation = ann.service_id(&group.conversation()).await;
    let joined = SessionNotice::Joined {
        conversation: conversation.clone(),
    };
    let left = SessionNotice::Left {
        conversation: conversation.clone(),
    };
    let bens_group = bens.join_group(conversation.clone()).await.unwrap();
    hears(&to_ben, &joined).await;
    group.kick(vec![id("ben")]).await.unwrap();
    hears(&to_ben, &left).await;
    group.invite(vec![id("ben")]).await.unwrap();
    ann.has_sent_everything().await;
    // A notice may still be one of the first time in the group: the state tells the present.
    ben.until("ben is in again", || async {
        let info = bens_group.conversation().info().await.ok()?;
        (info.state == ConversationState::Live && info.members.contains(&id("ben"))).then_some(())
    })
    .await;
    bens_group.leave().await.unwrap();
    ben.has_sent_everything().await;
    ann.until("ben is out", || async {
        let members = group.members().await.ok()?;
        (members == [id("ann")]).then_some(())
    })
    .await;
    let of_groups = |it: &SigningRequest| Clerk::group_action(it).is_some();
    assert_eq!(anns_clerk.count(of_groups), 3, "made, removed, invited");
    assert_eq!(bens_clerk.count(of_groups), 1, "joined, and left unsigned");
    anns_clerk.is_confused.store(true, Ordering::Relaxed);
    group.invite(vec![id("ben")]).await.unwrap();
    let failure = ann
        .until("the refusal", || async {
            let entries = ann.client.outbox().await.ok()?;
            entries.into_iter().find_map(|entry| match entry.state {
                OutboxState::Failed { failure } => Some(failure),
                _ => None,
            })
        })
        .await;
    assert!(
        matches!(failure, SendFailure::Refused { code: 4302, .. }),
        "{failure:?}"
    );
}

/// S339: where the app wants that, its signer is asked at every connection; otherwise a session that broke opens again
/// with its token.
#[tokio::test]
async fn the_signer_is_asked_at_every_connection_where_the_app_wants_that() {
    let place = Place::with_settings(EVERYTHING).await;
    let (ann, each) = signed(&place, "phone", "ann", true).await;
    let (ben, once) = signed(&place, "laptop", "ben", false).await;
    let sign_ins = |it: &SigningRequest| matches!(it, SigningRequest::SignIn { .. });
    for connection in 1..=3 {
        for (device, clerk) in [(&ann, &each), (&ben, &once)] {
            if connection == 1 {
                device.go_online().await;
            } else {
                device.engine.pause().await.unwrap();
                device.engine.resume().await.unwrap();
                // Only a session that is open asks anything.
                let who = || async { device.client.online_of(vec![id("ann")]).await.ok() };
                device.until("another connection", who).await;
            }
            let expected = if Arc::ptr_eq(clerk, &each) {
                connection
            } else {
                1
            };
            assert_eq!(clerk.count(sign_ins), expected, "connection {connection}");
        }
    }
}

/// S219, S349: a peer that comes back in push mode is pushed the newest fifty messages that it missed; what there is
/// beyond them comes by history, so that its count and its timeline are whole.
#[tokio::test]
async fn a_peer_that_missed_more_than_fifty_messages_has_them_all() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let mut config = place.config("laptop");
    config.offline_mode = OfflineMode::Push;
    let ben = Device::open(config, "ben").await;
    let anns = PeerSession::new(Arc::clone(&ann.client));
    let bens = PeerSession::new(Arc::clone(&ben.client));
    anns.open(vec![id("ben")]).await.unwrap();
    bens.open(vec![id("ann")]).await.unwrap();
    bens.close().unwrap();
    ann.until("ben to be away", || async {
        let online = anns.status(vec![id("ben")]).await.ok()?;
        online.is_empty().then_some(())
    })
    .await;
    for number in 0..60 {
        let message = NewMessage::text(format!("{number}"));
        anns.send(message, vec![id("ben")]).await.unwrap();
    }
    ann.has_sent_everything().await;
    bens.open(vec![id("ann")]).await.unwrap();
    let talk = ben.client.peers(vec![id("ann")]).await.unwrap();
    let expected: Vec<String> = (0..60).map(|number| format!("ann: {number}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    ben.sees(&talk.conversation_id(), &expected).await;
}

/// Escapes what others write, as the option `encodeHTML` of the second generation does.
struct EncodeHtml;

#[async_trait::async_trait]
impl EnginePlugin for EncodeHtml {
    fn name(&self) -> String {
        "encodeHTML".to_owned()
    }

    fn engine_created(&self, _engine: Arc<Engine>) -> Result<(), SampanError> {
        Ok(())
    }

    fn client_created(&self, _client: Arc<Client>) -> Result<(), SampanError> {
        Ok(())
    }

    fn conversation_created(&self, _conversation: Arc<Conversation>) -> Result<(), SampanError> {
        Ok(())
    }

    async fn before_parse(&self, payload: Json) -> Result<Json, SampanError> {
        Ok(payload)
    }

    async fn after_parse(&self, message: ParsedMessage) -> Result<MessageContent, SampanError> {
        Ok(match message.content {
            MessageContent::Text { text, details } => MessageContent::Text {
                text: escape_html(text),
                details,
            },
            other => other,
        })
    }
}

/// S033, D07: app id and client id, the function that signs (`authFun`), HTML that is escaped where the app wants that and
/// is not by default. Connections are secure by default: see `clear_text_leaves_the_machine_only_where_the_app_allows_it`.
#[tokio::test]
async fn the_options_of_the_second_generation_have_their_equals() {
    let place = Place::with_settings(EVERYTHING).await;
    let (tom, clerk) = signed(&place, "phone", "Tom", false).await;
    let (bob, _) = signed(&place, "laptop", "Bob", false).await;
    let engine = Engine::open_with_plugins(place.config("page"), vec![Arc::new(EncodeHtml)]);
    let options = ClientOptions {
        signer: Some(Arc::new(Clerk::default()) as Arc<dyn Signer>),
        ..ClientOptions::default()
    };
    let engine = engine.unwrap();
    let client = engine.client(id("Web"), options).await.unwrap();
    let web = Device { engine, client };
    let rooms = |device: &Device| Rooms::new(Arc::clone(&device.client));
    let (to_bob, to_web) = (
        rooms(&bob).notices().await.unwrap(),
        rooms(&web).notices().await.unwrap(),
    );
    for device in [&tom, &bob, &web] {
        device.go_online().await;
    }
    assert_eq!(tom.client.client_id(), id("Tom"));
    assert_eq!(
        clerk.count(|it| matches!(it, SigningRequest::SignIn { .. })),
        1
    );
    let room = rooms(&tom).create(RoomOptions::default()).await.unwrap();
    tom.service_id(&room.conversation()).await;
    room.add(vec![id("Bob"), id("Web")]).await.unwrap();
    tom.has_sent_everything().await;
    let said = NewMessage::text("<b>5 & 6</b>");
    room.conversation().send(said).await.unwrap();
    for (feed, expected) in [
        (&to_bob, "<b>5 & 6</b>"),
        (&to_web, "&lt;b&gt;5 &amp; 6&lt;/b&gt;"),
    ] {
        let words = told(feed, expected, |notice| match notice {
            SessionNotice::Message { message, .. } => message.content.words().map(str::to_owned),
            _ => None,
        })
        .await;
        assert_eq!(words, expected);
    }
}

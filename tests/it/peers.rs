//! The samples of the first generation's guide: sessions, peers that are watched, messages to peers, groups.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use sampan::model::{
    ClientId, ConversationId, MessageContent, NewMessage, OutboxState, Presence, SendFailure,
    SendOptions, WatchedClient,
};
use sampan::wire::signature::{SignedAction, SignedOperation};
use sampan::{
    ClientOptions, Engine, NoticeFeed, Obstacle, OperationSignature, PeerGroup, PeerSession,
    SampanError, Secret, SessionNotice, Signer, SigningRequest,
};

use crate::cable::Cable;
use crate::notices::{hears, told};
use crate::place::{Device, Place, app, config, id};

fn session(device: &Device) -> Arc<PeerSession> {
    PeerSession::new(Arc::clone(&device.client))
}

async fn hears_words(feed: &NoticeFeed, from: &str, words: &str) -> ConversationId {
    told(feed, words, |notice| match notice {
        SessionNotice::Message {
            conversation,
            message,
        } => (message.sender == id(from) && message.content.words() == Some(words))
            .then_some(conversation),
        _ => None,
    })
    .await
}

/// S040, S042, S043, S044, S047, S050, S051, S052, S053, S056, S057: a session is opened with a first list of peers,
/// tells when these come and go, and tells nothing of peers that are watched no more.
#[tokio::test]
async fn a_session_watches_peers_and_is_told_when_they_come_and_go() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let anns = session(&ann);
    let feed = anns.notices().await.unwrap();
    anns.open(vec![id("ben")]).await.unwrap();
    hears(&feed, &SessionNotice::Opened).await;
    hears(&feed, &SessionNotice::PeerOffline { peer: id("ben") }).await;
    let ben = place.device("laptop", "ben").await;
    let bens = session(&ben);
    bens.open(Vec::new()).await.unwrap();
    hears(&feed, &SessionNotice::PeerOnline { peer: id("ben") }).await;
    assert!(anns.is_watching(id("ben")).await.unwrap());
    assert!(!anns.is_watching(id("cat")).await.unwrap());
    let asked = vec![id("ben"), id("cat")];
    assert_eq!(anns.status(asked.clone()).await.unwrap(), [id("ben")]);
    anns.watch(vec![id("cat")]).await.unwrap();
    hears(&feed, &SessionNotice::PeerOffline { peer: id("cat") }).await;
    let watched = |client: &str, presence| WatchedClient {
        client: id(client),
        presence,
    };
    assert_eq!(
        ann.client.watched().await.unwrap(),
        [
            watched("ben", Presence::Online),
            watched("cat", Presence::Offline)
        ]
    );
    bens.close().unwrap();
    hears(&feed, &SessionNotice::PeerOffline { peer: id("ben") }).await;
    anns.unwatch(asked).await.unwrap();
    assert!(!anns.is_watching(id("ben")).await.unwrap());
    assert_eq!(ann.client.watched().await.unwrap(), []);
    anns.watch(vec![id("dan")]).await.unwrap();
    hears(&feed, &SessionNotice::PeerOffline { peer: id("dan") }).await;
    bens.open(Vec::new()).await.unwrap();
    let dan = place.device("watch", "dan").await;
    session(&dan).open(Vec::new()).await.unwrap();
    let next = told(&feed, "somebody who came", |notice| match notice {
        SessionNotice::PeerOnline { peer } => Some(peer),
        _ => None,
    });
    assert_eq!(next.await, id("dan"), "ben is watched no more");
    anns.close().unwrap();
    hears(&feed, &SessionNotice::Closed).await;
}

/// S057, S058, S059, S352: more than twenty are asked about in parts, and each is answered for.
#[tokio::test]
async fn more_than_twenty_clients_can_be_asked_about() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let _ben = place.online("laptop", "ben").await;
    let mut many: Vec<ClientId> = (0..45).map(|it| id(&format!("nobody-{it}"))).collect();
    many.insert(30, id("ben"));
    many.push(id("ann"));
    let online = ann.client.online_of(many).await.unwrap();
    assert_eq!(online, [id("ben"), id("ann")]);
    assert_eq!(ann.client.online_of(Vec::new()).await.unwrap(), []);
    let too_many = (0..1001).map(|it| id(&format!("nobody-{it}"))).collect();
    let refusal = ann.client.online_of(too_many).await.unwrap_err();
    assert!(matches!(refusal, SampanError::InvalidArgument { .. }));
    ann.client.go_offline().unwrap();
    let refusal = ann.client.online_of(vec![id("ben")]).await.unwrap_err();
    assert_eq!(refusal, SampanError::NotConnected);
}

/// S041, S050, S154: the list of watched peers outlives the connection and the process, and is sent again.
#[tokio::test]
async fn watched_peers_are_watched_again_after_a_broken_connection_and_a_restart() {
    let place = Place::new().await;
    let cable = Cable::lay(None).await;
    cable.plug_into(place.service.addr());
    let server = sampan::ServerAddress::Router {
        url: format!("http://{}", cable.addr),
    };
    let mut config = config(server, &place.folder.path().join("far"));
    config.limits.backoff_first = std::time::Duration::from_millis(20);
    let ann = Device::open(config.clone(), "ann").await;
    let anns = session(&ann);
    let feed = anns.notices().await.unwrap();
    anns.open(vec![id("ben")]).await.unwrap();
    hears(&feed, &SessionNotice::PeerOffline { peer: id("ben") }).await;
    cable.cut();
    hears(&feed, &SessionNotice::Paused).await;
    let unknown = WatchedClient {
        client: id("ben"),
        presence: Presence::Unknown,
    };
    let watched = ann.client.watched().await.unwrap();
    assert_eq!(watched, std::slice::from_ref(&unknown));
    let ben = place.online("laptop", "ben").await;
    cable.mend();
    hears(&feed, &SessionNotice::Resumed).await;
    hears(&feed, &SessionNotice::PeerOnline { peer: id("ben") }).await;
    ann.engine.shutdown().await.unwrap();
    let ann = Device::open(config, "ann").await;
    assert_eq!(ann.client.watched().await.unwrap(), [unknown]);
    let anns = session(&ann);
    let feed = anns.notices().await.unwrap();
    anns.open(Vec::new()).await.unwrap();
    hears(&feed, &SessionNotice::PeerOnline { peer: id("ben") }).await;
    ben.client.go_offline().unwrap();
    hears(&feed, &SessionNotice::PeerOffline { peer: id("ben") }).await;
}

/// S042, S054, S131, S274: messages go to peers who are watched, without a conversation that somebody made, and are
/// kept under the MD5 of their ids; a transient one is for those online.
#[tokio::test]
async fn a_message_goes_to_a_watched_peer_and_both_find_it_under_the_md5_of_their_ids() {
    let place = Place::new().await;
    let tom = place.device("phone", "Tom").await;
    let toms = session(&tom);
    let refusal = toms.send(NewMessage::text("hi"), vec![id("Jerry")]).await;
    let obstacle = Obstacle::NotWatched;
    assert_eq!(refusal.unwrap_err(), SampanError::NotPossible { obstacle });
    tom.client.watch(vec![id("Jerry")]).await.unwrap();
    // Written before there is a connection.
    toms.send(NewMessage::text("wake up"), vec![id("Jerry")])
        .await
        .unwrap();
    let jerry = place.device("laptop", "Jerry").await;
    let jerrys = session(&jerry);
    let feed = jerrys.notices().await.unwrap();
    jerrys.open(vec![id("Tom")]).await.unwrap();
    toms.open(Vec::new()).await.unwrap();
    let both = hears_words(&feed, "Tom", "wake up").await;
    assert_eq!(both.as_str(), "c0a42b25e09d3689a27f346a9b498ea1");
    jerrys
        .send(NewMessage::text("what for?"), vec![id("Tom")])
        .await
        .unwrap();
    tom.sees(&both, &["Tom: wake up", "Jerry: what for?"]).await;
    let soft = NewMessage {
        options: SendOptions {
            transient: true,
            ..SendOptions::default()
        },
        ..NewMessage::text("psst")
    };
    toms.send(soft, vec![id("Jerry")]).await.unwrap();
    assert_eq!(hears_words(&feed, "Tom", "psst").await, both);
    jerry
        .sees(&both, &["Tom: wake up", "Jerry: what for?"])
        .await;
    let own = place.online("tablet", "Tom").await;
    let found = own.client.fetch_conversation(both.clone()).await.unwrap();
    found.fetch_older(10).await.unwrap();
    own.sees(&both, &["Tom: wake up", "Jerry: what for?"]).await;
    for nobody in [vec![], vec![id("Tom")], vec![id("a:b")]] {
        let refusal = tom.client.peers(nobody).await.unwrap_err();
        assert!(matches!(refusal, SampanError::InvalidArgument { .. }));
    }
}

/// S121, S122, S126–S134: a group is made and joined, others are invited, removed, join and leave; all are told,
/// and hear what is said.
#[tokio::test]
async fn a_group_is_made_joined_left_and_all_are_told() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let ben = place.device("laptop", "ben").await;
    let cat = place.device("tablet", "cat").await;
    let (anns, bens, cats) = (session(&ann), session(&ben), session(&cat));
    let (to_ann, to_ben, to_cat) = (
        anns.notices().await.unwrap(),
        bens.notices().await.unwrap(),
        cats.notices().await.unwrap(),
    );
    for session in [&anns, &bens, &cats] {
        session.open(Vec::new()).await.unwrap();
    }
    let group: Arc<PeerGroup> = anns.create_group().await.unwrap();
    let conversation = ann.service_id(&group.conversation()).await;
    let joined = SessionNotice::Joined {
        conversation: conversation.clone(),
    };
    let created = SessionNotice::Created {
        conversation: conversation.clone(),
    };
    hears(&to_ann, &created).await;
    hears(&to_ann, &joined).await;
    let came = |who: &str| SessionNotice::MembersJoined {
        conversation: conversation.clone(),
        members: vec![id(who)],
    };
    let went = |who: &str| SessionNotice::MembersLeft {
        conversation: conversation.clone(),
        members: vec![id(who)],
    };
    let left = SessionNotice::Left {
        conversation: conversation.clone(),
    };
    let bens_group = bens.join_group(conversation.clone()).await.unwrap();
    hears(&to_ben, &joined).await;
    hears(&to_ann, &came("ben")).await;
    group.invite(vec![id("cat")]).await.unwrap();
    hears(&to_cat, &joined).await;
    hears(&to_ben, &came("cat")).await;
    ann.has_sent_everything().await;
    let members: BTreeSet<ClientId> = group.members().await.unwrap().into_iter().collect();
    assert_eq!(members, [id("ann"), id("ben"), id("cat")].into());
    bens_group
        .send(NewMessage::text("hello world"))
        .await
        .unwrap();
    assert_eq!(
        hears_words(&to_ann, "ben", "hello world").await,
        conversation
    );
    assert_eq!(
        hears_words(&to_cat, "ben", "hello world").await,
        conversation
    );
    let passing = NewMessage {
        options: SendOptions {
            transient: true,
            ..SendOptions::default()
        },
        ..NewMessage::new(MessageContent::Plain {
            text: "passing".into(),
        })
    };
    bens_group.send(passing).await.unwrap();
    hears_words(&to_cat, "ben", "passing").await;
    group.kick(vec![id("cat")]).await.unwrap();
    hears(&to_cat, &left).await;
    hears(&to_ben, &went("cat")).await;
    bens_group.leave().await.unwrap();
    hears(&to_ben, &left).await;
    hears(&to_ann, &went("ben")).await;
    ann.until("only ann in the group", || async {
        (group.members().await.ok()? == [id("ann")]).then_some(())
    })
    .await;
}

/// S124, S125: a group has data of its own, which others find without joining; a client's groups and a group's members
/// can be listed.
#[tokio::test]
async fn a_group_has_data_of_its_own_and_is_listed() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let cat = place.online("tablet", "cat").await;
    let (anns, cats) = (session(&ann), session(&cat));
    let group = anns.create_group().await.unwrap();
    let conversation = ann.service_id(&group.conversation()).await;
    ann.talk_to("cat").await;
    ann.has_sent_everything().await;
    let listed = anns.groups().await.unwrap();
    assert_eq!(listed.len(), 1, "a pair of peers is no group");
    assert_eq!(listed[0].id().await.unwrap(), conversation);
    assert_eq!(listed[0].members().await.unwrap(), [id("ann")]);
    let data = sampan::model::Json::parse(r#"{"topic":"tea"}"#).unwrap();
    group.conversation().set_attributes(data).await.unwrap();
    ann.has_sent_everything().await;
    let seen = cats.group(conversation.clone()).await.unwrap();
    let fetched = cat.client.fetch_conversation(conversation).await.unwrap();
    assert_eq!(seen.conversation(), fetched);
    let attributes = fetched.info().await.unwrap().attributes.unwrap();
    assert_eq!(attributes.as_str(), r#"{"topic":"tea"}"#);
}

/// The app's own server: it signs all that is asked for, and leaves out peers that blocked the one who asks.
struct Office {
    blocked: Vec<ClientId>,
    asked: Mutex<Vec<SigningRequest>>,
}

#[async_trait::async_trait]
impl Signer for Office {
    #[expect(clippy::disallowed_methods, reason = "the app's server has a clock")]
    async fn sign(&self, request: SigningRequest) -> Result<OperationSignature, SampanError> {
        self.asked.lock().unwrap().push(request.clone());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        // The first generation signs seconds.
        let timestamp = i64::try_from(since.as_secs()).unwrap();
        let is_free = |peer: &ClientId| !self.blocked.contains(peer);
        let allowed: Option<Vec<ClientId>> = match &request {
            SigningRequest::Watch { peers, .. } => {
                Some(peers.iter().filter(|it| is_free(it)).cloned().collect())
            }
            _ => None,
        };
        let (client_id, action) = match &request {
            SigningRequest::SignIn { client } => (client, SignedAction::Login),
            SigningRequest::StartConversation { client, members } => {
                (client, SignedAction::Start { members })
            }
            SigningRequest::AddMembers {
                client,
                conversation,
                members,
            } => {
                if !members.iter().all(is_free) {
                    let reason = "blocked".to_owned();
                    return Err(SampanError::Callback { reason });
                }
                let action = SignedAction::Invite {
                    conversation,
                    members,
                };
                (client, action)
            }
            SigningRequest::RemoveMembers {
                client,
                conversation,
                members,
            } => {
                let action = SignedAction::Kick {
                    conversation,
                    members,
                };
                (client, action)
            }
            SigningRequest::Watch { client, .. } => {
                let peers = allowed.as_deref().unwrap();
                (client, SignedAction::Watch { peers })
            }
            other => panic!("nobody signs {other:?}"),
        };
        // A nonce is used once.
        let nonce = format!("n0nce-{}", self.asked.lock().unwrap().len());
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
            allowed,
        })
    }
}

async fn signed(
    place: &Place,
    name: &str,
    client: &str,
    blocked: &[&str],
) -> (Device, Arc<Office>) {
    let office = Arc::new(Office {
        blocked: blocked.iter().copied().map(id).collect(),
        asked: Mutex::default(),
    });
    let engine = Engine::open(place.config(name)).unwrap();
    let options = ClientOptions {
        signer: Some(Arc::clone(&office) as Arc<dyn Signer>),
        ..ClientOptions::default()
    };
    let client = engine.client(id(client), options).await.unwrap();
    (Device { engine, client }, office)
}

/// S049, S135, S330, S333, S335, S336, S337, S338: watching and every action on a group but leaving are signed; the
/// app's server trims the list of peers, and a peer that was left out can neither be watched nor sent to.
#[tokio::test]
async fn the_apps_server_signs_what_is_watched_and_trims_the_list() {
    let everything = r#"{"signatures":{"login":true,"conversation":true}}"#;
    let place = Place::with_settings(everything).await;
    let (ann, office) = signed(&place, "phone", "ann", &["eve"]).await;
    let (ben, bens_office) = signed(&place, "laptop", "ben", &[]).await;
    let (anns, bens) = (session(&ann), session(&ben));
    let (to_ann, to_ben) = (anns.notices().await.unwrap(), bens.notices().await.unwrap());
    bens.open(vec![id("ann")]).await.unwrap();
    anns.open(vec![id("ben"), id("eve")]).await.unwrap();
    hears(&to_ann, &SessionNotice::PeerOnline { peer: id("ben") }).await;
    let watched = ann.client.watched().await.unwrap();
    let presences: Vec<Presence> = watched.into_iter().map(|it| it.presence).collect();
    assert_eq!(presences, [Presence::Online, Presence::NotAllowed]);
    assert!(!anns.is_watching(id("eve")).await.unwrap());
    let refusal = anns.send(NewMessage::text("hi"), vec![id("eve")]).await;
    let obstacle = Obstacle::NotWatched;
    assert_eq!(refusal.unwrap_err(), SampanError::NotPossible { obstacle });
    anns.send(NewMessage::text("hi"), vec![id("ben")])
        .await
        .unwrap();
    hears_words(&to_ben, "ann", "hi").await;
    let group = anns.create_group().await.unwrap();
    group.invite(vec![id("ben"), id("cat")]).await.unwrap();
    let conversation = ann.service_id(&group.conversation()).await;
    let joined = SessionNotice::Joined {
        conversation: conversation.clone(),
    };
    hears(&to_ben, &joined).await;
    ann.has_sent_everything().await;
    group.kick(vec![id("cat")]).await.unwrap();
    ann.has_sent_everything().await;
    bens.group(conversation)
        .await
        .unwrap()
        .leave()
        .await
        .unwrap();
    ben.has_sent_everything().await;
    let asked = office.asked.lock().unwrap();
    let peers = |wanted: &[&str]| -> Vec<ClientId> { wanted.iter().copied().map(id).collect() };
    let client = id("ann");
    assert!(asked.contains(&SigningRequest::Watch {
        client: client.clone(),
        peers: peers(&["ben", "eve"]),
    }));
    let actions = asked.iter().filter(|it| {
        matches!(
            it,
            SigningRequest::StartConversation { .. }
                | SigningRequest::AddMembers { .. }
                | SigningRequest::RemoveMembers { .. }
        )
    });
    assert_eq!(actions.count(), 3, "{asked:?}");
    let of_group = |it: &SigningRequest| {
        !matches!(
            it,
            SigningRequest::SignIn { .. } | SigningRequest::Watch { .. }
        )
    };
    let asked = bens_office.asked.lock().unwrap();
    assert!(!asked.iter().any(of_group), "to leave needs no signature");
}

/// S048: whatever fails in a session reaches the app: as the typed error of the call, or as the failure of what waits in
/// the outbox.
#[tokio::test]
async fn whatever_fails_in_a_session_reaches_the_app() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let anns = session(&ann);
    let unknown = ConversationId::new("5f0000000000000000000000").unwrap();
    let offline = anns.status(vec![id("ben")]).await;
    assert_eq!(offline, Err(SampanError::NotConnected));
    let offline = anns.group(unknown.clone()).await.err();
    assert_eq!(offline, Some(SampanError::NotConnected));
    let stranger = anns.send(NewMessage::text("hi"), vec![id("eve")]).await;
    let obstacle = Obstacle::NotWatched;
    assert_eq!(stranger.err(), Some(SampanError::NotPossible { obstacle }));
    ann.go_online().await;
    let absent = anns.group(unknown.clone()).await.err();
    assert!(
        matches!(absent, Some(SampanError::NotFound { .. })),
        "{absent:?}"
    );
    anns.join_group(unknown).await.unwrap();
    let failed = ann.until("a failed entry", || async {
        let entries = ann.client.outbox().await.ok()?;
        entries.into_iter().find_map(|entry| match entry.state {
            OutboxState::Failed { failure } => Some(failure),
            _ => None,
        })
    });
    let failed = failed.await;
    assert!(
        matches!(failed, SendFailure::Refused { code: 4303, .. }),
        "{failed:?}"
    );
    ann.engine.shutdown().await.unwrap();
    let over = anns.watch(vec![id("ben")]).await;
    assert_eq!(over, Err(SampanError::ShutDown));
}

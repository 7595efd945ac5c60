//! Pause and resume, sign-out, accounts, observers, tags.

use std::sync::{Arc, Mutex, mpsc};

use futures_util::StreamExt;
use sampan::model::{ConnectionState, Count, DeviceTag, Event, SessionEnd, SessionState};
use sampan::{
    ClientOptions, Engine, EventObserver, EventSubscription, LocalData, OtherDevice, SampanError,
    UnsentWork,
};

use crate::place::{Device, Place, heard, id, in_time};

/// S304: pausing closes the socket and keeps reads and writes going; resuming sends what was written.
#[tokio::test]
async fn what_is_written_while_paused_goes_out_after_resuming() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let service_id = ann.service_id(&talk).await;
    assert_eq!(ann.engine.connection_state(), ConnectionState::Connected);
    ann.engine.pause().await.unwrap();
    assert_eq!(ann.engine.connection_state(), ConnectionState::Idle);
    talk.send_text("from the background".into(), None)
        .await
        .unwrap();
    assert_eq!(
        ann.lines(&service_id).await.unwrap(),
        ["ann: from the background (pending)"]
    );
    ann.engine.resume().await.unwrap();
    ben.sees(&service_id, &["ann: from the background"]).await;
}

/// S030: after signing out the service no longer has the client online, though its connection serves
/// another client and stays.
#[tokio::test]
async fn after_signing_out_the_service_has_the_client_online_no_more() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let options = ClientOptions::default();
    let client = ann.engine.client(id("cem"), options).await.unwrap();
    let cem = Device {
        engine: ann.engine.clone(),
        client,
    };
    cem.go_online().await;
    let (raw, ben) = place.raw("ben").await;
    let both = [id("ann"), id("cem")];
    assert_eq!(raw.online(&ben, &both).await.unwrap(), both);
    ann.client
        .sign_out(LocalData::Keep, UnsentWork::KeepIt)
        .await
        .unwrap();
    let left = cem.until("the end of ann's session at the service", || async {
        let online = raw.online(&ben, &both).await.unwrap();
        (online.len() == 1).then_some(online)
    });
    assert_eq!(left.await, [id("cem")]);
    assert_eq!(cem.client.session_state(), SessionState::Open);
}

/// After signing out nothing works until the client is opened anew; wiped data are gone.
#[tokio::test]
async fn signing_out_closes_the_client_and_wipes_what_it_shall() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    ann.has_sent_everything().await;
    let id_of_talk = ann.service_id(&talk).await;
    ann.client
        .sign_out(LocalData::Keep, UnsentWork::KeepIt)
        .await
        .unwrap();
    assert_eq!(talk.info().await.unwrap_err(), SampanError::SignedOut);
    assert_eq!(
        ann.client.go_online(None).unwrap_err(),
        SampanError::SignedOut
    );
    assert_eq!(crate::place::accounts(&ann.engine).await, [id("ann")]);

    let again = ann
        .engine
        .client(id("ann"), ClientOptions::default())
        .await
        .unwrap();
    assert!(
        again
            .conversation(id_of_talk.clone())
            .unwrap()
            .info()
            .await
            .is_ok(),
        "kept data are there"
    );
    again
        .sign_out(LocalData::Wipe, UnsentWork::ThrowAway)
        .await
        .unwrap();
    assert!(crate::place::accounts(&ann.engine).await.is_empty());
    let fresh = ann
        .engine
        .client(id("ann"), ClientOptions::default())
        .await
        .unwrap();
    assert!(matches!(
        fresh.conversation(id_of_talk).unwrap().info().await,
        Err(SampanError::NotFound { .. })
    ));
}

/// S022, S027: the same id is the same client; another tag is an error; another id another client.
#[tokio::test]
async fn an_id_has_one_client_and_one_tag_on_an_engine() {
    let place = Place::new().await;
    let engine = Engine::open(place.config("phone")).unwrap();
    let ann = engine
        .client(id("ann"), ClientOptions::default())
        .await
        .unwrap();
    let again = engine
        .client(id("ann"), ClientOptions::default())
        .await
        .unwrap();
    let wanted = sampan::model::NewConversation::default();
    let made = ann.create_conversation(wanted).await.unwrap();
    assert!(
        again
            .conversation(made.conversation.conversation_id())
            .is_ok()
    );
    let tagged = ClientOptions {
        tag: Some(DeviceTag::new("mobile").unwrap()),
        ..ClientOptions::default()
    };
    assert_eq!(
        engine.client(id("ann"), tagged).await.unwrap_err(),
        SampanError::TagMismatch
    );
    let ben = engine
        .client(id("ben"), ClientOptions::default())
        .await
        .unwrap();
    let strange = ben.conversation(made.conversation.conversation_id());
    assert!(strange.unwrap().info().await.is_err());
}

/// S305, S307, S309, S360: a device with the same tag takes the place of the first, which is told and does not fight back.
#[tokio::test]
async fn a_second_device_with_the_same_tag_ends_the_first_ones_session() {
    let place = Place::new().await;
    let tagged = || ClientOptions {
        tag: Some(DeviceTag::new("mobile").unwrap()),
        ..ClientOptions::default()
    };
    let first = Engine::open(place.config("old phone")).unwrap();
    let old = first.client(id("ann"), tagged()).await.unwrap();
    old.go_online(None).unwrap();
    in_time("the first session", old.wait_online())
        .await
        .unwrap();
    let mut events = old.events();
    let second = Engine::open(place.config("new phone")).unwrap();
    let new = second.client(id("ann"), tagged()).await.unwrap();
    new.go_online(None).unwrap();
    in_time("the second session", new.wait_online())
        .await
        .unwrap();
    let ended = |event| match event {
        Event::SessionChanged { state, .. } => (state != SessionState::Open).then_some(state),
        _ => None,
    };
    let reason = SessionEnd::Conflict;
    let state = Device::is_told(&mut events, "the end of the first session", ended).await;
    assert_eq!(state, SessionState::Ended { reason });
    assert!(matches!(
        old.wait_online().await,
        Err(SampanError::Refused { code: 4111, .. })
    ));
    // The newcomer stays: its questions to the service are answered.
    let talk = new
        .create_conversation(sampan::model::NewConversation::default())
        .await;
    let talk = talk.unwrap().conversation;
    let newcomer = Device {
        engine: second,
        client: new,
    };
    newcomer.service_id(&talk).await;
    assert_eq!(newcomer.client.session_state(), SessionState::Open);
}

/// An app that comes back by itself leaves the place to the device that took it meanwhile.
#[tokio::test]
async fn who_comes_back_by_itself_leaves_the_place_to_the_device_that_took_it() {
    let place = Place::new().await;
    let mut devices = Vec::new();
    for name in ["old phone", "new phone"] {
        let engine = Engine::open(place.config(name)).unwrap();
        let options = ClientOptions {
            tag: Some(DeviceTag::new("mobile").unwrap()),
            ..ClientOptions::default()
        };
        let client = engine.client(id("ann"), options).await.unwrap();
        let device = Device { engine, client };
        device.go_online().await;
        if devices.is_empty() {
            device.client.go_offline().unwrap();
        }
        devices.push(device);
    }
    let [old, new] = devices.as_slice() else {
        panic!("two devices");
    };
    old.client.go_online(Some(OtherDevice::Keep)).unwrap();
    let refusal = in_time("the refusal", old.client.wait_online())
        .await
        .unwrap_err();
    assert!(
        matches!(refusal, SampanError::Refused { code: 4111, .. }),
        "{refusal}"
    );
    assert_eq!(new.client.session_state(), SessionState::Open);
}

/// S308: devices with different tags are signed in side by side, and both hear.
#[tokio::test]
async fn devices_with_different_tags_are_signed_in_side_by_side() {
    let place = Place::new().await;
    let mut devices = Vec::new();
    for tag in ["mobile", "desk"] {
        let engine = Engine::open(place.config(tag)).unwrap();
        let options = ClientOptions {
            tag: Some(DeviceTag::new(tag).unwrap()),
            ..ClientOptions::default()
        };
        let client = engine.client(id("ann"), options).await.unwrap();
        let device = Device { engine, client };
        device.go_online().await;
        devices.push(device);
    }
    let ben = place.online("laptop", "ben").await;
    let talk = ben.talk_to("ann").await;
    talk.send_text("to both".into(), None).await.unwrap();
    let service_id = ben.service_id(&talk).await;
    for device in &devices {
        device.sees(&service_id, &["ben: to both"]).await;
        assert_eq!(device.client.session_state(), SessionState::Open);
    }
}

/// Holds the last handles of everything and lets go of them inside a callback.
struct LastHandle {
    held: Mutex<Option<(Arc<Engine>, Arc<EventSubscription>)>>,
    told: mpsc::Sender<()>,
}

impl EventObserver for LastHandle {
    fn on_events(&self, _events: Vec<Event>) -> Result<(), SampanError> {
        drop(self.held.lock().unwrap().take());
        let _ = self.told.send(());
        Ok(())
    }
}

/// Dropping the last handle inside a callback stops everything and waits for nobody.
#[tokio::test]
async fn the_last_handle_can_be_dropped_inside_a_callback() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let (told, words) = mpsc::channel();
    let observer = Arc::new(LastHandle {
        held: Mutex::new(None),
        told,
    });
    let subscription = ann.engine.observe(observer.clone()).unwrap();
    let (engine, client) = (ann.engine, ann.client);
    let mut events = client.events();
    *observer.held.lock().unwrap() = Some((engine, subscription));
    drop(observer);
    client.go_online(None).unwrap();
    drop(client);
    let end = async { while events.next().await.is_some() {} };
    in_time("the end of the engine", end).await;
    heard(&words, "a call of the observer").expect("the observer was called");
    assert!(heard(&words, "its end").is_none(), "and not again");
}

/// The events of a client come in the order of its commits.
#[tokio::test]
async fn events_come_in_the_order_of_commits() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let mut events = ann.client.events();
    let talk = ann.talk_to("ben").await;
    for number in 0..20 {
        talk.send_text(format!("line {number}"), None)
            .await
            .unwrap();
    }
    ann.engine.shutdown().await.unwrap();
    let (mut seqs, mut lines) = (Vec::new(), Vec::new());
    while let Some(event) = events.next().await {
        if let Event::MessageAdded { seq, message, .. } = event {
            seqs.push(seq);
            lines.push(message.content.words().unwrap().to_owned());
        }
    }
    assert!(seqs.is_sorted());
    let said: Vec<_> = (0..20).map(|number| format!("line {number}")).collect();
    assert_eq!(lines, said);
}

/// An app that has lost the key of an encrypted store finds the store's data and removes them; no other store is
/// touched.
#[tokio::test]
async fn an_encrypted_account_is_listed_without_its_name_and_wiped_without_its_key() {
    let place = Place::new().await;
    let mut config = place.config("phone");
    config.inbox_folder = Some(place.folder.path().join("inbox"));
    let engine = Engine::open(config.clone()).unwrap();
    let keyed = |digit: &str| ClientOptions {
        store_key: Some(sampan::Secret::new(digit.repeat(64))),
        ..ClientOptions::default()
    };
    let ann = engine.client(id("ann"), ClientOptions::default());
    let ann = ann.await.unwrap();
    let ben = engine.client(id("ben"), keyed("a")).await.unwrap();
    let listed = engine.accounts().await.unwrap();
    let names: Vec<_> = listed.iter().map(|it| it.client.clone()).collect();
    assert_eq!(names, [Some(id("ann")), None]);
    let encrypted: Vec<_> = listed.iter().map(|it| it.is_encrypted).collect();
    assert_eq!(encrypted, [false, true]);
    assert!(listed.iter().all(|it| it.bytes > 0), "{listed:?}");
    assert!(
        listed.iter().all(|it| it.unsent == Some(Count(0))),
        "both are open: {listed:?}"
    );
    let secret = listed.into_iter().next_back().unwrap().folder;
    let held = engine.wipe_account(secret.clone()).await;
    assert!(
        matches!(held, Err(SampanError::StoreInUse { .. })),
        "{held:?}"
    );
    engine.pause().await.unwrap();
    let held = engine.wipe_account(secret.clone()).await;
    assert!(
        matches!(held, Err(SampanError::StoreInUse { .. })),
        "{held:?}"
    );
    engine.resume().await.unwrap();
    ben.sign_out(LocalData::Keep, UnsentWork::KeepIt)
        .await
        .unwrap();
    let lost = engine.client(id("ben"), keyed("b")).await;
    assert_eq!(lost.unwrap_err(), SampanError::WrongKey);
    for bad in ["", "..", "../../etc", &"z".repeat(40)] {
        let refused = engine.wipe_account(bad.to_owned()).await;
        assert!(
            matches!(refused, Err(SampanError::InvalidArgument { .. })),
            "{bad}: {refused:?}"
        );
    }
    engine.wipe_account(secret.clone()).await.unwrap();
    engine.wipe_account(secret).await.unwrap();
    let left = engine.accounts().await.unwrap();
    assert_eq!(left.len(), 1);
    let fresh = engine.client(id("ben"), keyed("b")).await.unwrap();
    assert!(fresh.open_report().created);
    assert_eq!(ann.client_id(), id("ann"));
}

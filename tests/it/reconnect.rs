//! A connection that breaks: what is told, when it is tried again, and what is there afterwards.

use std::time::Duration;

use futures_util::StreamExt;
use sampan::model::{ConnectionState, Event, ForeignMessage, SessionState};
use sampan::{EventStream, NetworkChange, ServerAddress};
use tokio::time::timeout;

use crate::cable::Cable;
use crate::place::{Device, PATIENCE, Place, config, id, in_time};

/// A service at the end of a cable, and a device with a session over it.
struct Scene {
    place: Place,
    cable: Cable,
    ann: Device,
}

impl Scene {
    async fn new(backoff_first: Duration) -> Self {
        let place = Place::new().await;
        let cable = Cable::lay(None).await;
        cable.plug_into(place.service.addr());
        let url = format!("http://{}", cable.addr);
        let folder = place.folder.path().join("far phone");
        let mut config = config(ServerAddress::Router { url }, &folder);
        config.limits.backoff_first = backoff_first;
        let ann = Device::open(config, "ann").await;
        ann.go_online().await;
        Self { place, cable, ann }
    }
}

/// The next event that concerns connection or session, as a word.
async fn next(events: &mut EventStream) -> String {
    let told = async {
        loop {
            match events.next().await.expect("the engine runs") {
                Event::ConnectionChanged { state } => {
                    return match state {
                        ConnectionState::Idle => "idle".to_owned(),
                        ConnectionState::Offline => "offline".to_owned(),
                        ConnectionState::Connected => "connected".to_owned(),
                        ConnectionState::Connecting { attempt } => format!("connecting {attempt}"),
                        ConnectionState::Waiting { attempt, .. } => format!("waiting {attempt}"),
                    };
                }
                Event::ConnectionFailed { .. } => return "failed".to_owned(),
                Event::SessionChanged { state, .. } => return format!("session {state:?}"),
                _ => {}
            }
        }
    };
    in_time("a word of the connection or session", told).await
}

/// Skips until something is told, and returns all that was told on the way.
async fn until(events: &mut EventStream, wanted: &str) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        told.push(next(events).await);
        if told.last().is_some_and(|last| last == wanted) {
            return told;
        }
    }
}

/// S041, S292, S293, S294, S295, S297, S298, S302: lost, planned, trying, back; and the session after the
/// connection, each told once.
#[tokio::test]
async fn a_lost_connection_is_told_planned_tried_and_restored_and_the_session_follows() {
    let scene = Scene::new(Duration::from_millis(20)).await;
    let mut events = scene.ann.client.events();
    let mut of_engine = scene.ann.engine.events();
    scene.cable.cut();
    let mut told = Vec::new();
    // Both are told; which comes first does not matter, and the end of the signing in may still
    // be told before them.
    let mut awaited = vec!["waiting 1", "session Opening"];
    while !awaited.is_empty() {
        let one = next(&mut events).await;
        awaited.retain(|it| *it != one);
        told.push(one);
    }
    told.extend(until(&mut events, "waiting 2").await);
    scene.cable.mend();
    let back = until(&mut events, "session Open").await;
    let place = |wanted: &str| back.iter().rposition(|told| told == wanted);
    let connected = place("connected").expect("the connection is told");
    assert!(connected < back.len() - 1, "the session follows: {back:?}");
    // The engine's subscriber was told the same of the connection, in the same order.
    let of_connection = |told: &&String| !told.starts_with("session");
    let lost = |told: &&String| *told != "failed" && !told.starts_with("waiting");
    let by_client: Vec<_> = told.iter().chain(&back).filter(of_connection).collect();
    let of_engine = until(&mut of_engine, "connected").await;
    let by_engine: Vec<_> = of_engine
        .iter()
        .filter(of_connection)
        .skip_while(lost)
        .collect();
    assert_eq!(by_client, by_engine);
    assert!(back.iter().any(|told| told.starts_with("connecting")));
    let failed = |told: &String| told == "failed";
    assert!(
        told.iter().any(failed),
        "an error is told before it opens again: {told:?}"
    );

    let ben = scene.place.online("laptop", "ben").await;
    let talk = scene.ann.talk_to("ben").await;
    talk.send_text("back again".into(), None).await.unwrap();
    let service_id = scene.ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: back again"]).await;
    scene.ann.engine.shutdown().await.unwrap();
}

/// S300: the pauses grow, each from half of its length on: 1, 2, 4 … times the first.
#[tokio::test]
async fn the_pauses_between_attempts_grow() {
    let first = Duration::from_millis(20);
    let scene = Scene::new(first).await;
    let mut events = scene.ann.engine.events();
    scene.cable.cut();
    let mut expected = 1;
    while expected < 6 {
        let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        if let Event::ConnectionChanged {
            state: ConnectionState::Waiting { attempt, delay },
        } = event
        {
            let longest = first * 2_u32.pow(attempt - 1);
            assert_eq!(attempt, expected);
            assert!(delay >= longest / 2 && delay <= longest, "{delay:?}");
            expected += 1;
        }
    }
}

/// S296, S299: a word of the operating system ends a pause or starts one; the count begins anew.
#[tokio::test]
async fn the_network_going_and_coming_is_told_and_ends_a_pause_at_once() {
    // An hour: no pause ends by itself.
    let scene = Scene::new(Duration::from_secs(3600)).await;
    let engine = &scene.ann.engine;
    let mut events = engine.events();
    scene.cable.cut();
    until(&mut events, "waiting 1").await;
    scene.cable.mend();
    engine.network_changed(NetworkChange::Back).await.unwrap();
    let back = until(&mut events, "session Open").await;
    assert!(back.contains(&"connecting 0".to_owned()), "{back:?}");

    scene.cable.cut();
    until(&mut events, "waiting 1").await;
    engine.network_changed(NetworkChange::Lost).await.unwrap();
    until(&mut events, "offline").await;
    scene.cable.mend();
    engine.network_changed(NetworkChange::Back).await.unwrap();
    until(&mut events, "session Open").await;
    assert_eq!(scene.ann.client.session_state(), SessionState::Open);
}

/// S367: messages that are said while the network is cut are there when it is back.
#[tokio::test]
async fn what_is_said_while_the_network_is_cut_is_there_when_it_is_back() {
    let scene = Scene::new(Duration::from_millis(20)).await;
    let (raw, ben) = scene.place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    raw.say(&ben, &talk, "before").await.unwrap();
    scene.ann.sees(&talk, &["ben: before"]).await;
    let mut events = scene.ann.client.events();
    scene.cable.cut();
    until(&mut events, "waiting 1").await;
    for words in ["one", "two"] {
        raw.say(&ben, &talk, words).await.unwrap();
    }
    assert_eq!(scene.ann.lines(&talk).await.unwrap(), ["ben: before"]);
    scene.cable.mend();
    scene
        .ann
        .sees(&talk, &["ben: before", "ben: one", "ben: two"])
        .await;
}

/// S202, S203: the connection breaks again and again between a delivery and its acknowledgement: the
/// service repeats what was not acknowledged, and each message is shown once.
#[tokio::test]
async fn what_is_delivered_again_after_a_break_is_shown_once() {
    let scene = Scene::new(Duration::from_millis(5)).await;
    let (raw, ben) = scene.place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    let mut said = Vec::new();
    for round in 0..10 {
        let mut events = scene.ann.client.events();
        for number in 0..4 {
            let words = format!("{round}.{number}");
            raw.say(&ben, &talk, &words).await.unwrap();
            said.push(format!("ben: {words}"));
        }
        // One of them has arrived, and the acknowledgements are on their way or not yet.
        Device::is_told(&mut events, "a message", |event| {
            matches!(event, Event::MessageAdded { .. }).then_some(())
        })
        .await;
        scene.cable.cut();
        scene.cable.mend();
    }
    let said: Vec<_> = said.iter().map(String::as_str).collect();
    scene.ann.sees(&talk, &said).await;
    // Once more from the service: nothing is added.
    let talk = scene.ann.handle(&talk);
    scene.ann.is_online().await;
    while !talk.fetch_older(100).await.unwrap().start_reached {}
    assert_eq!(
        scene.ann.messages(&talk.conversation_id()).await.len(),
        said.len()
    );
}

/// Another network than before ends a pause at once; a connection that still answers there goes on.
#[tokio::test]
async fn another_network_ends_a_pause_at_once_and_keeps_a_connection_that_answers() {
    // An hour: no pause ends by itself.
    let scene = Scene::new(Duration::from_secs(3600)).await;
    let engine = &scene.ann.engine;
    let mut events = scene.ann.client.events();
    scene.cable.cut();
    until(&mut events, "waiting 1").await;
    scene.cable.mend();
    engine
        .network_changed(NetworkChange::Switched)
        .await
        .unwrap();
    until(&mut events, "session Open").await;
    engine
        .network_changed(NetworkChange::Switched)
        .await
        .unwrap();
    let talk = scene.ann.talk_to("ben").await;
    talk.send_text("still here".into(), None).await.unwrap();
    scene.ann.has_sent_everything().await;
    // The connection and the session end now, and nothing was told of them before.
    scene.ann.client.go_offline().unwrap();
    let told = [next(&mut events).await, next(&mut events).await];
    assert_eq!(told, ["session Closed", "idle"]);
}

/// C22, C79: nothing stays in the outbox because the connection broke while it was sent, and nothing
/// arrives twice.
#[tokio::test]
async fn what_is_sent_while_the_cable_breaks_again_and_again_arrives_once_and_in_order() {
    let scene = Scene::new(Duration::from_millis(5)).await;
    let ben = scene.place.online("laptop", "ben").await;
    let talk = scene.ann.talk_to("ben").await;
    let mut said = Vec::new();
    for round in 0..8 {
        for number in 0..5 {
            let words = format!("{round}.{number}");
            talk.send_text(words.clone(), None).await.unwrap();
            said.push(format!("ann: {words}"));
        }
        scene.cable.cut();
        talk.send_text(format!("{round} cut"), None).await.unwrap();
        said.push(format!("ann: {round} cut"));
        scene.cable.mend();
    }
    scene.ann.has_sent_everything().await;
    let service_id = scene.ann.service_id(&talk).await;
    let said: Vec<_> = said.iter().map(String::as_str).collect();
    ben.sees(&service_id, &said).await;
    scene.ann.sees(&service_id, &said).await;
}

/// S203, S367: a message that a push brought ahead of a silent connection stands behind a gap: what lies between is
/// not taken for held.
#[tokio::test]
async fn a_message_that_a_push_brought_ahead_of_the_connection_hides_nothing() {
    let scene = Scene::new(Duration::from_millis(10)).await;
    let Scene { place, cable, ann } = &scene;
    let ben = place.online("laptop", "ben").await;
    let theirs = ben.talk_to("ann").await;
    theirs.send_text("one".into(), None).await.unwrap();
    let talk = ben.service_id(&theirs).await;
    ann.sees(&talk, &["ben: one"]).await;
    cable.deafen();
    for words in ["two", "three"] {
        theirs.send_text(words.into(), None).await.unwrap();
    }
    ben.has_sent_everything().await;
    let pushed = ben.messages(&talk).await.pop().expect("the third message");
    let pushed = ForeignMessage {
        conversation: talk.clone(),
        id: pushed.id.expect("an id of the service"),
        sender: pushed.sender,
        sent_at: pushed.sent_at,
        content: pushed.content,
        mentions: pushed.mentions,
    };
    ann.handle(&talk).keep(pushed).await.unwrap();
    ann.sees(&talk, &["ben: one", "(gap)", "ben: three", "(gap)"])
        .await;
}

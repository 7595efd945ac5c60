//! Messages to peers of the first generation: to one or several, files as links, receipts, pushes.

use std::sync::Arc;

use sampan::model::{
    ClientId, ConversationId, Message, MessageState, NewMedia, NewMessage, PushDevice,
    PushPlatform, SendOptions,
};
use sampan::{Conversation, PeerSession, SampanError};
use serde_json::json;

use crate::file_host::FileHost;
use crate::place::{Device, Place, id, in_time};

fn session(device: &Device) -> Arc<PeerSession> {
    PeerSession::new(Arc::clone(&device.client))
}

async fn open(device: &Device, watched: &[&str]) -> Arc<PeerSession> {
    let session = session(device);
    let watched = watched.iter().map(|peer| id(peer)).collect();
    session.open(watched).await.unwrap();
    session
}

/// Tom, who watches Jerry and Spike, and both, who watch Tom.
struct Three {
    tom: Device,
    toms: Arc<PeerSession>,
    jerry: Device,
    spike: Device,
}

async fn three(place: &Place) -> Three {
    let tom = place.device("phone", "Tom").await;
    let jerry = place.device("laptop", "Jerry").await;
    let spike = place.device("tablet", "Spike").await;
    let toms = open(&tom, &["Jerry", "Spike"]).await;
    open(&jerry, &["Tom"]).await;
    open(&spike, &["Tom"]).await;
    Three {
        tom,
        toms,
        jerry,
        spike,
    }
}

/// The newest message of a conversation, once it says these words.
async fn newest(device: &Device, conversation: &ConversationId, words: &str) -> Message {
    device
        .until(words, || async {
            let newest = device.messages(conversation).await.pop()?;
            (newest.content.words() == Some(words)).then_some(newest)
        })
        .await
}

/// The conversation that a message to these peers goes to.
async fn with_peers(device: &Device, peers: &[ClientId]) -> (Arc<Conversation>, ConversationId) {
    let talk = device.client.peers(peers.to_vec()).await.unwrap();
    let conversation = talk.info().await.unwrap().id;
    (talk, conversation)
}

/// S178, S179: a message goes to one peer or to several, and a file as a link to the bytes that were uploaded.
#[tokio::test]
async fn a_message_goes_to_one_or_several_peers_and_a_file_as_a_link() {
    let place = Place::new().await;
    let Three {
        tom,
        toms,
        jerry,
        spike,
    } = three(&place).await;
    let both = [id("Jerry"), id("Spike")];
    toms.send(NewMessage::text("to both"), both.to_vec())
        .await
        .unwrap();
    let (talk, of_both) = with_peers(&tom, &both).await;
    let (_, of_one) = with_peers(&tom, &both[..1]).await;
    assert_ne!(of_both, of_one);
    toms.send(NewMessage::text("to one"), vec![id("Jerry")])
        .await
        .unwrap();
    jerry.sees(&of_both, &["Tom: to both"]).await;
    spike.sees(&of_both, &["Tom: to both"]).await;
    jerry.sees(&of_one, &["Tom: to one"]).await;

    // More than a message may have.
    let bytes: Vec<u8> = (0..20_000_u32).map(|it| it.to_le_bytes()[0]).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cat.bin");
    std::fs::write(&path, &bytes).unwrap();
    let media = NewMedia {
        caption: Some("look".to_owned()),
        ..NewMedia::new(sampan::model::MediaSource::Path { path })
    };
    talk.send_media(media).await.unwrap();
    for peer in [&jerry, &spike] {
        let message = newest(peer, &of_both, "look").await;
        let file = message.content.media().unwrap().clone();
        assert!(file.url.starts_with("http://"), "{}", file.url);
        let download = peer.client.download(file).unwrap();
        let copy = in_time("the bytes", download.file()).await.unwrap();
        assert_eq!(std::fs::read(copy).unwrap(), bytes);
    }
    let unknown = spike.handle(&of_one).info().await;
    assert!(unknown.is_err(), "Spike hears nothing of it: {unknown:?}");
}

/// S193: a message to one peer has a receipt, and one to two peers has none; a transient one is refused a receipt.
#[tokio::test]
async fn a_receipt_in_the_first_generation_has_one_receiver() {
    let place = Place::new().await;
    let Three {
        tom,
        toms,
        jerry,
        spike,
    } = three(&place).await;
    let both = vec![id("Jerry"), id("Spike")];
    toms.send(NewMessage::text("to both"), both.clone())
        .await
        .unwrap();
    let (_, of_both) = with_peers(&tom, &both).await;
    jerry.sees(&of_both, &["Tom: to both"]).await;
    spike.sees(&of_both, &["Tom: to both"]).await;
    toms.send(NewMessage::text("to one"), vec![id("Jerry")])
        .await
        .unwrap();
    let (_, of_one) = with_peers(&tom, &both[..1]).await;
    tom.until("the receipt", || async {
        let newest = tom.messages(&of_one).await.pop()?;
        matches!(newest.state, MessageState::Delivered { .. }).then_some(())
    })
    .await;
    // It came later: the one of the message to two would be here.
    let to_both = newest(&tom, &of_both, "to both").await;
    assert_eq!(to_both.state, MessageState::Sent);
    let transient = NewMessage {
        options: SendOptions {
            receipt: Some(true),
            transient: true,
            ..SendOptions::default()
        },
        ..NewMessage::text("psst")
    };
    let refused = toms.send(transient, vec![id("Jerry")]).await.unwrap_err();
    assert!(
        matches!(refused, SampanError::InvalidArgument { .. }),
        "{refused}"
    );
}

/// S256: a peer who is away is pushed the app's static text.
#[tokio::test]
async fn a_peer_who_is_away_is_pushed_the_static_text() {
    let host = FileHost::start().await;
    let settings = json!({"push": {
        "enabled": true,
        "webhook": format!("{}/push", host.url()),
        "template": {"alert": "a message for you", "badge": "Increment"},
    }});
    let place = Place::with_settings(&settings.to_string()).await;
    let jerry = place.device("laptop", "Jerry").await;
    open(&jerry, &["Tom"]).await;
    let device = PushDevice::new(PushPlatform::Ios, "a0b1");
    in_time("a registration", jerry.client.register_push(device))
        .await
        .unwrap();
    let tom = place.device("phone", "Tom").await;
    let toms = open(&tom, &["Jerry"]).await;
    jerry.engine.pause().await.unwrap();
    tom.until("the service to know", || async {
        let online = tom.client.online_of(vec![id("Jerry")]).await;
        online.ok()?.is_empty().then_some(())
    })
    .await;
    toms.send(NewMessage::text("wake up"), vec![id("Jerry")])
        .await
        .unwrap();
    let pushed = in_time("a push", host.pushed(1)).await;
    let [pushed] = &pushed[..] else {
        panic!("one push: {pushed:?}");
    };
    assert_eq!(pushed["deviceToken"], "a0b1");
    assert_eq!(pushed["payload"]["alert"], "a message for you");
    jerry.engine.shutdown().await.unwrap();
}

/// S219, S349: a peer who was away has all that was said meanwhile, more than the fifty messages of the first generation.
#[tokio::test]
async fn a_peer_who_was_away_has_more_than_fifty_missed_messages() {
    let place = Place::new().await;
    let tom = place.device("phone", "Tom").await;
    let jerry = place.device("laptop", "Jerry").await;
    let toms = open(&tom, &["Jerry"]).await;
    let said: Vec<_> = (0..60).map(|number| format!("line {number}")).collect();
    for words in &said {
        let message = NewMessage::text(words);
        toms.send(message, vec![id("Jerry")]).await.unwrap();
    }
    tom.has_sent_everything().await;
    let (_, of_both) = with_peers(&tom, &[id("Jerry")]).await;
    open(&jerry, &["Tom"]).await;
    let lines: Vec<_> = said.iter().map(|words| format!("Tom: {words}")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    jerry.sees(&of_both, &lines).await;
}

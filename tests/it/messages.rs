//! Messages as their receivers see them: every kind of content, mentions, marks; who may be in.

use sampan::model::{
    ConversationId, ConversationState, Details, Json, MediaFile, Mentions, Message, MessageContent,
    MessageState, NewConversation, NewMessage, SendFailure,
};

use crate::place::{Device, Place, id};

fn details(json: &str) -> Details {
    Details {
        attributes: Some(Json::parse(json).unwrap()),
        extra: None,
    }
}

/// A file that exists by its URL alone, with what the app says about it.
fn file() -> MediaFile {
    MediaFile {
        url: "https://files.invalid/boat.bin".to_owned(),
        name: Some("boat.bin".to_owned()),
        format: Some("bin".to_owned()),
        size: Some(18_032),
        width: Some(640),
        height: Some(480),
        duration: Some(12.5),
        ..MediaFile::default()
    }
}

/// One of each kind, in an order that the timeline has to keep.
fn every_kind() -> Vec<MessageContent> {
    let caption = || Some("a caption".to_owned());
    let none = Details::default;
    vec![
        MessageContent::Text {
            text: "hello 船".to_owned(),
            details: details(r#"{"mood":{"calm":[1,null]}}"#),
        },
        MessageContent::Image {
            file: file(),
            caption: caption(),
            details: details(r#"{"of":"a boat"}"#),
        },
        MessageContent::Audio {
            file: file(),
            caption: caption(),
            details: none(),
        },
        MessageContent::Video {
            file: file(),
            caption: None,
            details: none(),
        },
        MessageContent::Location {
            latitude: 31.2304,
            longitude: 121.4737,
            caption: caption(),
            details: none(),
        },
        MessageContent::File {
            file: file(),
            caption: caption(),
            details: none(),
        },
        MessageContent::Custom {
            kind: 12,
            envelope: Json::parse(r#"{"_lctype":12,"item":"rope","count":3}"#).unwrap(),
        },
        MessageContent::Plain {
            text: "just words".to_owned(),
        },
        MessageContent::Binary {
            data: (0..=255).collect(),
        },
        MessageContent::text("x".repeat(4096)),
    ]
}

/// True if two contents say the same; keys of an envelope have no order.
fn same(sent: &MessageContent, seen: &MessageContent) -> bool {
    match (sent, seen) {
        (
            MessageContent::Custom { kind, envelope },
            MessageContent::Custom {
                kind: seen_kind,
                envelope: seen_envelope,
            },
        ) => kind == seen_kind && envelope.to_value() == seen_envelope.to_value(),
        _ => sent == seen,
    }
}

/// The messages of a conversation, once there are as many as expected.
async fn messages(device: &Device, talk: &ConversationId, count: usize) -> Vec<Message> {
    let ask = || async {
        let talk = device.client.conversation(talk.clone()).ok()?;
        let page = talk.page(None, 100).await.ok()?;
        let found: Vec<_> = page.items.iter().filter_map(|it| it.message()).collect();
        (found.len() == count).then(|| found.into_iter().cloned().collect())
    };
    device.until("the messages", ask).await
}

/// S147, S149, S155–S161, S163, S164, S167, S168, S170, S313–S315: every kind arrives as it was sent, live
/// and in history: addresses, sizes, captions, attributes; a kind that nobody registered whole and raw.
#[tokio::test]
async fn every_kind_of_content_arrives_as_it_was_sent() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let kinds = every_kind();
    for content in &kinds {
        talk.send(NewMessage::new(content.clone())).await.unwrap();
    }
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    let later = place.online("tablet", "ben").await;
    let fetched = later.client.fetch_conversation(service_id.clone()).await;
    let fetched = fetched.unwrap();
    while !fetched.fetch_older(50).await.unwrap().start_reached {}
    for device in [&ann, &ben, &later] {
        let seen = messages(device, &service_id, kinds.len()).await;
        for (content, message) in kinds.iter().zip(&seen) {
            assert!(same(content, &message.content), "{content:?}");
            assert_eq!(message.state, MessageState::Sent, "{content:?}");
        }
    }
}

/// S231–S236, S238: ids that are mentioned travel with every kind and raise the flag of those meant.
#[tokio::test]
async fn mentions_travel_with_every_kind_and_raise_the_flag_of_those_meant() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let (ben, cem) = (
        place.online("laptop", "ben").await,
        place.online("tablet", "cem").await,
    );
    let wanted = NewConversation {
        members: vec![id("ben"), id("cem")],
        ..NewConversation::default()
    };
    let talk = ann.client.create_conversation(wanted).await.unwrap();
    let talk = talk.conversation;
    let only_ben = Mentions {
        all: false,
        clients: vec![id("ben"), id("dan")],
    };
    let all_and_ben = Mentions {
        all: true,
        clients: vec![id("ben")],
    };
    let mut flags = Vec::new();
    for mentions in [only_ben, all_and_ben] {
        for content in every_kind() {
            let message = NewMessage {
                mentions: mentions.clone(),
                ..NewMessage::new(content)
            };
            talk.send(message).await.unwrap();
            flags.push(mentions.clone());
        }
        ann.has_sent_everything().await;
        let service_id = ann.service_id(&talk).await;
        for device in [&ben, &cem] {
            let seen = messages(device, &service_id, flags.len()).await;
            let seen: Vec<_> = seen.into_iter().map(|message| message.mentions).collect();
            assert_eq!(seen, flags);
            let info = device.client.conversation(service_id.clone());
            let info = info.unwrap().info().await.unwrap();
            let me = device.client.client_id();
            assert_eq!(info.unread.mentioned, mentions.include(&me), "{me}");
        }
    }
}

/// S174, S176, S188, S198, S199, S373: sender and receiver agree on id and time; reading is confirmed for the whole
/// conversation, and the sender learns the mark.
#[tokio::test]
async fn both_sides_agree_on_id_and_time_and_the_sender_learns_what_was_read() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("one".into(), None).await.unwrap();
    talk.send_text("two".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    let heard = messages(&ben, &service_id, 2).await;
    let sent = messages(&ann, &service_id, 2).await;
    for (mine, theirs) in sent.iter().zip(&heard) {
        assert!(mine.id.is_some());
        assert_eq!(
            (&mine.id, mine.sent_at, &mine.sender, &mine.conversation),
            (&theirs.id, theirs.sent_at, &theirs.sender, &service_id)
        );
    }
    let read = |message: &Message| matches!(message.state, MessageState::Read { .. });
    assert!(!sent.iter().any(read), "received is not read");
    let theirs = ben.client.conversation(service_id.clone()).unwrap();
    theirs.mark_read(None).await.unwrap();
    ann.until("the read mark", || async {
        let until = talk.info().await.ok()?.read_until?;
        (until >= sent.last()?.sent_at).then_some(())
    })
    .await;
    assert!(messages(&ann, &service_id, 2).await.iter().all(read));
}

/// S083, S346: 500 members are one conversation, 501 are refused with 4304.
#[tokio::test]
async fn a_conversation_takes_500_members_and_refuses_501() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    for others in [499, 500] {
        let wanted = NewConversation {
            members: (0..others)
                .map(|number| id(&format!("m{number}")))
                .collect(),
            ..NewConversation::default()
        };
        let made = ann.client.create_conversation(wanted).await.unwrap();
        let state = ann.until("an answer", || async {
            let state = made.conversation.info().await.ok()?.state;
            (state != ConversationState::Creating).then_some(state)
        });
        match state.await {
            ConversationState::Live => assert_eq!(others, 499),
            ConversationState::CreationFailed {
                failure: SendFailure::Refused { code, .. },
            } => assert_eq!((others, code), (500, 4304)),
            other => panic!("{other:?}"),
        }
    }
}

/// S025, S342, S345: 64 characters of any kind are a client id and are passed on as they are; none, and
/// 65, are not.
#[tokio::test]
async fn a_client_id_has_1_to_64_characters_and_is_passed_on_as_it_is() {
    let name = format!("<b>&\"舢{}", "x".repeat(58));
    assert_eq!(name.chars().count(), 64);
    let place = Place::new().await;
    let named = place.online("phone", &name).await;
    let ben = place.online("laptop", "ben").await;
    let talk = named.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let service_id = named.service_id(&talk).await;
    ben.sees(&service_id, &[&format!("{name}: hello")]).await;
    for wrong in [String::new(), format!("{name}x")] {
        assert!(sampan::model::ClientId::new(&wrong).is_err(), "{wrong}");
    }
}

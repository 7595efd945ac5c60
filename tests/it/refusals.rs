//! Bad input: typed errors, and nothing else happens.

use sampan::model::{ConversationId, StoreHealth};
use sampan::{ClientOptions, Engine, SampanError, ServerAddress};

use crate::place::{Device, Place, config, id};

/// S138: a conversation that nobody knows is not found, here and at the service.
#[tokio::test]
async fn an_unknown_conversation_is_not_found_here_nor_at_the_service() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let unknown = ConversationId::new("5f0000000000000000000000").unwrap();
    assert!(matches!(
        ann.client
            .conversation(unknown.clone())
            .unwrap()
            .info()
            .await,
        Err(SampanError::NotFound { .. })
    ));
    assert!(matches!(
        ann.client.fetch_conversation(unknown).await,
        Err(SampanError::NotFound { .. })
    ));
}

/// S177, S347: a message that no frame can carry is refused at once and not enqueued.
#[tokio::test]
async fn a_message_too_large_for_a_frame_is_refused_at_once() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let before = ann.client.outbox().await.unwrap().len();
    let refusal = talk.send_text("x".repeat(6000), None).await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::TooLarge { limit, actual } if actual > limit),
        "{refusal}"
    );
    assert_eq!(ann.client.outbox().await.unwrap().len(), before);
}

/// Calls that need the service fail at once without a session, and say so.
#[tokio::test]
async fn a_call_that_needs_the_service_fails_at_once_without_a_session() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    assert_eq!(
        talk.fetch_older(20).await.unwrap_err(),
        SampanError::NotConnected
    );
    assert_eq!(
        ann.client.wait_online().await.unwrap_err(),
        SampanError::NotConnected
    );
}

/// A store has one opener at a time; the second is told who has it.
#[tokio::test]
async fn a_store_that_is_open_refuses_a_second_opener_and_names_the_first() {
    let place = Place::new().await;
    let first = place.device("phone", "ann").await;
    let second = Engine::open(place.config("phone")).unwrap();
    let refusal = second.client(id("ann"), ClientOptions::default()).await;
    let holder = Some(i64::from(std::process::id()));
    assert_eq!(refusal.unwrap_err(), SampanError::StoreInUse { holder });
    first.engine.shutdown().await.unwrap();
    drop(first);
    assert!(
        second
            .client(id("ann"), ClientOptions::default())
            .await
            .is_ok()
    );
}

/// A folder that can't be written opens all the same: reads answer, writes fail with a typed error.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unwritable_folder_opens_and_its_writes_fail_with_a_typed_error() {
    let place = Place::new().await;
    let mut unwritable = place.config("phone");
    // Nobody can make a folder there, not even the superuser.
    unwritable.store_root = "/proc/no-such-folder".into();
    let ann = Device::open(unwritable, "ann").await;
    assert!(matches!(
        ann.client.store_health(),
        StoreHealth::ReadOnly { .. }
    ));
    assert!(
        ann.client
            .conversations(None, 10)
            .await
            .unwrap()
            .conversations
            .is_empty()
    );
    let wanted = sampan::model::NewConversation::default();
    let refusal = ann.client.create_conversation(wanted).await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::StoreUnavailable { .. }),
        "{refusal}"
    );
}

/// An address that can't be one is an invalid argument, before anything is asked.
#[tokio::test]
async fn an_address_that_cannot_be_one_does_not_open_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["", "chat.example.org", "ftp://chat.example.org"] {
        let server = ServerAddress::Router { url: url.into() };
        let refusal = Engine::open(config(server, folder.path())).unwrap_err();
        assert!(
            matches!(refusal, SampanError::InvalidArgument { .. }),
            "{url}"
        );
    }
}

/// A key of another length than 64 digits is an invalid argument.
#[tokio::test]
async fn a_malformed_store_key_is_an_invalid_argument() {
    let place = Place::new().await;
    let engine = Engine::open(place.config("phone")).unwrap();
    let options = ClientOptions {
        store_key: Some(sampan::Secret::new("short")),
        ..ClientOptions::default()
    };
    let refusal = engine.client(id("ann"), options).await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::InvalidArgument { .. }),
        "{refusal}"
    );
}

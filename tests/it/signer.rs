//! An app whose own server signs what its clients do: promptly, slowly, wrongly, or not at all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sampan::model::{
    ClientId, ConversationState, MessageState, NewConversation, SendFailure, SessionState,
    Uniqueness,
};
use sampan::views::OutboxListState;
use sampan::wire::signature::{SignedAction, SignedOperation};
use sampan::{
    Blocker, ClientOptions, Delivery, Engine, OperationSignature, SampanError, Secret, Signer,
    SigningRequest,
};
use tokio::sync::Semaphore;

use crate::place::{Device, Place, app, id, in_time};

/// The setting of an app that wants everything signed.
const EVERYTHING: &str = r#"{"signatures":{"login":true,"conversation":true}}"#;

const MASTER_KEY: &str = "it-master-key";

/// The behaviour of the app's own server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Prompt,
    /// It answers as often as the test lets it.
    Held,
    /// It answers after so many failures.
    FailsFirst(u32),
    /// The app's code panics as often, then answers.
    PanicsFirst(u32),
    /// It signs with a key that is not the app's.
    Wrong,
}

/// The app's own server, which has the master key.
struct Office {
    mood: Mutex<Mood>,
    asked: Mutex<Vec<SigningRequest>>,
    failures: AtomicU32,
    permits: Semaphore,
}

impl Office {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(mood),
            asked: Mutex::default(),
            failures: AtomicU32::new(0),
            permits: Semaphore::new(0),
        })
    }

    fn turns(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> Vec<SigningRequest> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Signer for Office {
    async fn sign(&self, request: SigningRequest) -> Result<OperationSignature, SampanError> {
        self.asked.lock().unwrap().push(request.clone());
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Held => self.permits.acquire().await.unwrap().forget(),
            Mood::FailsFirst(times) if self.failures.fetch_add(1, Ordering::Relaxed) < times => {
                let reason = "the office is closed".to_owned();
                return Err(SampanError::Callback { reason });
            }
            Mood::PanicsFirst(times) if self.failures.fetch_add(1, Ordering::Relaxed) < times => {
                panic!("the office is on fire");
            }
            _ => {}
        }
        let key = if mood == Mood::Wrong {
            "guessed"
        } else {
            MASTER_KEY
        };
        Ok(sign(&request, key))
    }
}

#[expect(clippy::disallowed_methods, reason = "the app's server has a clock")]
fn sign(operation: &SigningRequest, key: &str) -> OperationSignature {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let timestamp = i64::try_from(since.as_millis()).unwrap();
    let (client_id, action) = match operation {
        SigningRequest::SignIn { client } => (client, SignedAction::Login),
        SigningRequest::StartConversation { client, members } => {
            (client, SignedAction::Start { members })
        }
        other => panic!("the engine asks for nothing else yet: {other:?}"),
    };
    let operation = SignedOperation {
        app_id: &app(),
        client_id,
        action,
        timestamp,
        nonce: "n0nce",
    };
    OperationSignature {
        signature: Secret::new(operation.sign(key)),
        timestamp,
        nonce: "n0nce".to_owned(),
        allowed: None,
    }
}

/// A device whose app has this signer, or none; pauses are short.
async fn device(place: &Place, name: &str, client: &str, signer: Option<Arc<Office>>) -> Device {
    let mut config = place.config(name);
    config.limits.backoff_first = Duration::from_millis(20);
    let engine = Engine::open(config).unwrap();
    let options = ClientOptions {
        signer: signer.map(|office| office as Arc<dyn Signer>),
        ..ClientOptions::default()
    };
    let client = engine.client(id(client), options).await.unwrap();
    Device { engine, client }
}

/// S329: where everything has to be signed, signing in and making conversations work, and nothing is asked
/// for twice.
#[tokio::test]
async fn where_the_app_wants_signatures_the_signer_brings_them() {
    let place = Place::with_settings(EVERYTHING).await;
    let office = Office::new(Mood::Prompt);
    let ann = device(&place, "phone", "ann", Some(Arc::clone(&office))).await;
    let ben = device(&place, "laptop", "ben", Some(Office::new(Mood::Prompt))).await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("signed".into(), None).await.unwrap();
    assert_eq!(office.asked(), [], "nothing is signed before it is sent");
    ben.go_online().await;
    ann.go_online().await;
    let service_id = ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: signed"]).await;
    let client = id("ann");
    let members: Vec<ClientId> = vec![id("ann"), id("ben")];
    assert_eq!(
        office.asked(),
        [
            SigningRequest::SignIn {
                client: client.clone()
            },
            SigningRequest::StartConversation { client, members },
        ]
    );
}

/// S331: an app that wants signatures refuses a client without a signer, and says with which code.
#[tokio::test]
async fn without_a_signer_the_session_is_refused_and_work_waits() {
    let place = Place::with_settings(EVERYTHING).await;
    let ann = device(&place, "phone", "ann", None).await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("unsigned".into(), None).await.unwrap();
    ann.client.go_online(None).unwrap();
    let refusal = in_time("the refusal", ann.client.wait_online())
        .await
        .unwrap_err();
    assert!(
        matches!(refusal, SampanError::Refused { code: 4102, .. }),
        "{refusal}"
    );
    assert_eq!(ann.client.outbox().await.unwrap().len(), 2);
}

/// While the signer takes its time, reads answer and writes are accepted.
#[tokio::test]
async fn a_slow_signer_holds_up_neither_reads_nor_writes() {
    let place = Place::with_settings(EVERYTHING).await;
    let office = Office::new(Mood::Held);
    let ann = device(&place, "phone", "ann", Some(Arc::clone(&office))).await;
    ann.client.go_online(None).unwrap();
    let is_asked = |times| {
        let office = Arc::clone(&office);
        move || {
            let asked = office.asked().len();
            async move { (asked == times).then_some(()) }
        }
    };
    ann.until("a question to the signer", is_asked(1)).await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("one".into(), None).await.unwrap();
    assert_eq!(ann.client.session_state(), SessionState::Opening);
    assert_eq!(
        ann.lines(&talk.conversation_id()).await.unwrap(),
        ["ann: one (pending)"]
    );
    office.permits.add_permits(1);
    ann.is_online().await;
    ann.until("a question about the conversation", is_asked(2))
        .await;
    talk.send_text("two".into(), None).await.unwrap();
    assert_eq!(
        ann.lines(&talk.conversation_id()).await.unwrap(),
        ["ann: one (pending)", "ann: two (pending)"]
    );
    office.permits.add_permits(1);
    let service_id = ann.service_id(&talk).await;
    ann.sees(&service_id, &["ann: one", "ann: two"]).await;
}

/// D15: a conversation whose signature is awaited says so, in the list of unsent work and in the client's state.
#[tokio::test]
async fn work_that_waits_for_a_signature_says_so() {
    let place = Place::with_settings(EVERYTHING).await;
    let office = Office::new(Mood::Prompt);
    let ann = device(&place, "phone", "ann", Some(Arc::clone(&office))).await;
    ann.go_online().await;
    office.turns(Mood::Held);
    let list = ann.client.outbox_list().await.unwrap();
    let talk = ann.talk_to("ben").await;
    let mut shown = OutboxListState::default();
    let unsigned = Delivery::Waiting {
        blocker: Blocker::Signature,
    };
    let search = async {
        while shown.rows.first().map(|row| &row.delivery) != Some(&unsigned) {
            shown.apply(list.next(shown.version).await.unwrap().unwrap());
        }
    };
    in_time("the reason", search).await;
    let state = ann.client.state();
    assert_eq!(state.outbox.blocker, Some(Blocker::Signature));
    office.permits.add_permits(1);
    ann.service_id(&talk).await;
    ann.has_sent_everything().await;
}

/// A signer that fails, or whose code panics, is asked again; nothing is lost.
#[tokio::test]
async fn a_signer_that_fails_or_panics_is_asked_again() {
    for mood in [Mood::FailsFirst(3), Mood::PanicsFirst(3)] {
        let place = Place::with_settings(EVERYTHING).await;
        let office = Office::new(mood);
        let ann = device(&place, "phone", "ann", Some(Arc::clone(&office))).await;
        let talk = ann.talk_to("ben").await;
        talk.send_text("patience".into(), None).await.unwrap();
        ann.go_online().await;
        ann.has_sent_everything().await;
        let sign_ins = office.asked().len() - 1;
        assert_eq!(sign_ins, 4, "three failures and a success");
    }
}

/// The same for a conversation: it is made as soon as the signer answers, and what follows waits.
#[tokio::test]
async fn a_conversation_whose_signature_fails_is_tried_again() {
    let place = Place::with_settings(EVERYTHING).await;
    let office = Office::new(Mood::Prompt);
    let ann = device(&place, "phone", "ann", Some(Arc::clone(&office))).await;
    ann.go_online().await;
    office.turns(Mood::FailsFirst(2));
    let talk = ann.talk_to("ben").await;
    talk.send_text("patience".into(), None).await.unwrap();
    let service_id = ann.service_id(&talk).await;
    ann.sees(&service_id, &["ann: patience"]).await;
}

/// S331: a wrong signature is the service's refusal, with its number; the app decides what follows.
#[tokio::test]
async fn a_wrong_signature_is_refused_with_the_services_number() {
    let place = Place::with_settings(EVERYTHING).await;
    let office = Office::new(Mood::Wrong);
    let ann = device(&place, "phone", "ann", Some(Arc::clone(&office))).await;
    ann.client.go_online(None).unwrap();
    let refusal = in_time("the refusal", ann.client.wait_online())
        .await
        .unwrap_err();
    assert!(
        matches!(refusal, SampanError::Refused { code: 4102, .. }),
        "{refusal}"
    );

    office.turns(Mood::Prompt);
    ann.go_online().await;
    office.turns(Mood::Wrong);
    let wanted = NewConversation {
        members: vec![id("ben")],
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    };
    let made = ann.client.create_conversation(wanted).await.unwrap();
    let sent = made
        .conversation
        .send_text("wait".into(), None)
        .await
        .unwrap();
    let failure = ann
        .until("the refusal", || async {
            match made.conversation.info().await.ok()?.state {
                ConversationState::CreationFailed { failure } => Some(failure),
                _ => None,
            }
        })
        .await;
    assert!(
        matches!(failure, SendFailure::Refused { code: 4302, .. }),
        "{failure:?}"
    );
    let echo = made.conversation.message_by_local_id(sent.local_id).await;
    assert!(!matches!(echo.unwrap().state, MessageState::Sent));
    office.turns(Mood::Prompt);
    ann.client.retry(made.entry.unwrap()).await.unwrap();
    let service_id = ann.service_id(&made.conversation).await;
    ann.sees(&service_id, &["ann: wait"]).await;
}

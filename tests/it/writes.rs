//! Every kind of write: made offline, kept over a killed process, done once and in order.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use sampan::model::{
    ConversationId, ConversationState, Json, LocalId, Message, MessageContent, MessageKey,
    MessageState, NewConversation, NewMessage, OutboxKind, OutboxState, Priority, SendFailure,
    SendOptions, Uniqueness,
};
use sampan::views::TimelineState;
use sampan::{Conversation, SampanError};
use sampan_service::RunningService;

use crate::place::{Device, Place, config, id, line};
use crate::screen::{self, Screen};

/// Tells the child process where its store is; without it the child's half of the test does nothing.
const STORE: &str = "SAMPAN_IT_WRITES_STORE";

/// Tells the child which conversation to join.
const CLUB: &str = "SAMPAN_IT_WRITES_CLUB";

/// The child's word when every call has returned.
const WRITTEN: &str = "written";

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

fn child(store: &Path, club: &ConversationId) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "writes::child_that_writes_everything_and_is_killed",
        ])
        .args(["--ignored", "--nocapture"])
        .env(STORE, store)
        .env(CLUB, club.as_str())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The conversation of a device that has a name.
pub(crate) async fn named(device: &Device, name: &str) -> Arc<Conversation> {
    let list = device.client.conversations(None, 100).await.unwrap();
    let mut all = list.conversations.into_iter();
    let found = all.find(|info| info.name.as_deref() == Some(name));
    let id = found.expect("a conversation of that name").id;
    device.client.conversation(id).unwrap()
}

async fn key_of(device: &Device, talk: &Conversation, words: &str) -> MessageKey {
    let messages = device.messages(&talk.conversation_id()).await;
    let mut said = messages.iter();
    let found = said.find(|it| it.content.words() == Some(words));
    MessageKey::of(found.expect("the message")).unwrap()
}

fn with_members(name: &str, members: &[&str]) -> NewConversation {
    NewConversation {
        members: members.iter().copied().map(id).collect(),
        name: Some(name.to_owned()),
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    }
}

/// All kinds of write, on a device that is not connected.
async fn write_everything(ann: &Device, club: &ConversationId) {
    let tea = named(ann, "Tea").await;
    let (tow, oops) = (
        key_of(ann, &tea, "tow").await,
        key_of(ann, &tea, "oops").await,
    );
    tea.send_text("three".into(), None).await.unwrap();
    tea.edit(tow, MessageContent::text("two")).await.unwrap();
    tea.recall(oops).await.unwrap();
    let four = tea.send_text("fuor".into(), None).await.unwrap();
    let four = MessageKey::local(four.local_id);
    tea.edit(four, MessageContent::text("four")).await.unwrap();
    let never = tea.send_text("never".into(), None).await.unwrap();
    tea.recall(MessageKey::local(never.local_id)).await.unwrap();
    let own = SendOptions {
        local_id: Some(LocalId::new("share-sheet-7").unwrap()),
        ..SendOptions::default()
    };
    for _ in 0..2 {
        let message = NewMessage {
            options: own.clone(),
            ..NewMessage::text("shared once")
        };
        tea.send(message).await.unwrap();
    }
    named(ann, "Notes").await.mark_read(None).await.unwrap();
    tea.set_name("Green tea".into()).await.unwrap();
    let changes = Json::parse(r#"{"kettle": "on", "old": null}"#).unwrap();
    tea.set_attributes(changes).await.unwrap();
    tea.set_muted(true).await.unwrap();
    tea.add_members(vec![id("cat")]).await.unwrap();
    tea.remove_members(vec![id("dan")]).await.unwrap();
    tea.send_text("five".into(), None).await.unwrap();
    named(ann, "Gone").await.quit().await.unwrap();
    let joined = ann.client.join(club.clone()).await.unwrap();
    joined.send_text("hello, club".into(), None).await.unwrap();
    let made = with_members("New", &["ben"]);
    let made = ann.client.create_conversation(made).await.unwrap();
    let made = made.conversation;
    made.send_text("first".into(), None).await.unwrap();
    made.add_members(vec![id("cat")]).await.unwrap();
    made.set_name("Newer".into()).await.unwrap();
    made.send_text("second".into(), None).await.unwrap();
}

/// The child: it writes, says so when the last call has returned, and waits for its end.
#[tokio::test]
#[ignore = "it is the other half of the test below, which starts it"]
async fn child_that_writes_everything_and_is_killed() {
    let (Ok(store), Ok(club)) = (std::env::var(STORE), std::env::var(CLUB)) else {
        return;
    };
    let server = sampan::ServerAddress::Router {
        url: NOWHERE.to_owned(),
    };
    let ann = Device::open(config(server, Path::new(&store)), "ann").await;
    write_everything(&ann, &ConversationId::new(club).unwrap()).await;
    let mut out = std::io::stdout();
    writeln!(out, "{WRITTEN}").unwrap();
    out.flush().unwrap();
    std::future::pending::<()>().await;
}

/// The conversations of every kind of write, which a device made offline before it was killed, and the other device.
pub(crate) struct Written {
    place: Place,
    pub(crate) ben: Device,
    pub(crate) tea: ConversationId,
    gone: ConversationId,
    club: ConversationId,
    notes: ConversationId,
}

impl Written {
    /// A service with these settings; the device has written everything and was killed.
    pub(crate) async fn offline_and_killed(settings: &str) -> Self {
        let place = Place::with_settings(settings).await;
        let ben = place.online("laptop", "ben").await;
        let club = ben
            .client
            .create_conversation(with_members("Club", &["eve"]));
        let club = ben.service_id(&club.await.unwrap().conversation).await;
        // The maker of a conversation cannot quit it where the app has roles.
        let gone = with_members("Gone", &["ann"]);
        let gone = ben.client.create_conversation(gone).await.unwrap();
        let gone = ben.service_id(&gone.conversation).await;
        let notes = with_members("Notes", &["ann"]);
        let notes = ben.client.create_conversation(notes).await.unwrap();
        let notes = notes.conversation;
        notes.send_text("read me".into(), None).await.unwrap();
        let notes = ben.service_id(&notes).await;
        ben.has_sent_everything().await;
        let ann = place.online("phone", "ann").await;
        let attributes = Json::parse(r#"{"old": 1, "kept": true}"#).unwrap();
        let tea = NewConversation {
            attributes: Some(attributes),
            ..with_members("Tea", &["ben", "dan"])
        };
        let tea = ann
            .client
            .create_conversation(tea)
            .await
            .unwrap()
            .conversation;
        for words in ["one", "tow", "oops"] {
            tea.send_text(words.into(), None).await.unwrap();
        }
        ann.has_sent_everything().await;
        let tea_id = ann.service_id(&tea).await;
        ann.until("the conversation that ben made", || async {
            let talk = ann.client.conversation(gone.clone()).ok()?;
            talk.info().await.ok()?.name.map(drop)
        })
        .await;
        ann.sees(&notes, &["ben: read me"]).await;
        ben.sees(&tea_id, &["ann: one", "ann: tow", "ann: oops"])
            .await;
        ann.engine.shutdown().await.unwrap();
        drop((tea, ann));
        let written = Self {
            tea: tea_id,
            place,
            ben,
            gone,
            club,
            notes,
        };
        written.write_and_kill();
        written
    }

    pub(crate) fn store(&self) -> std::path::PathBuf {
        self.place.folder.path().join("phone")
    }

    pub(crate) const fn service(&self) -> &RunningService {
        &self.place.service
    }

    fn write_and_kill(&self) {
        let mut child = child(&self.store(), &self.club);
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap() == WRITTEN), "the child wrote");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Each effect is at the service once and in order, the outbox is empty, ids are final.
    pub(crate) async fn is_done_once_and_in_order(&self, ann: &Device) {
        let Self {
            place,
            ben,
            tea,
            gone,
            club,
            notes,
        } = self;
        // Another device asks the service alone.
        let witness = place.online("witness", "ann").await;
        witness
            .client
            .fetch_conversation(tea.clone())
            .await
            .unwrap();
        let all = [
            "ann: one",
            "ann: two",
            "ann: recalled",
            "ann: three",
            "ann: four",
            "ann: shared once",
            "ann: five",
        ];
        for device in [ann, &witness] {
            device.sees(tea, &all).await;
            let talk = device.client.conversation(tea.clone()).unwrap();
            let settled = || async {
                let info = talk.info().await.ok()?;
                let mut members = info.members.clone();
                members.sort();
                let attributes = info.attributes.as_ref()?.to_value();
                let expected = serde_json::json!({"kept": true, "kettle": "on"});
                let is_so = info.name.as_deref() == Some("Green tea")
                    && attributes == expected
                    && members == ["ann", "ben", "cat"].map(id)
                    && info.muted;
                is_so.then_some(())
            };
            device
                .until("name, attributes, members and mute", settled)
                .await;
        }
        ben.until("a message that was read", || async {
            let messages = ben.messages(notes).await;
            let is_read = |it: &Message| matches!(it.state, MessageState::Read { .. });
            (messages.iter().filter(|it| is_read(it)).count() == 1).then_some(())
        })
        .await;
        ben.until("who quit", || async {
            let talk = ben.client.conversation(gone.clone()).ok()?;
            (talk.info().await.ok()?.members == [id("ben")]).then_some(())
        })
        .await;
        let left = ann.client.conversation(gone.clone()).unwrap();
        assert_eq!(left.info().await.unwrap().state, ConversationState::Left);
        ben.sees(club, &["ann: hello, club"]).await;
        let newer = named(ann, "Newer").await;
        let newer_id = newer.info().await.unwrap().id;
        assert!(!newer_id.is_local(), "ids are final");
        ben.sees(&newer_id, &["ann: first", "ann: second"]).await;
        let list = ben.client.conversations(None, 100).await.unwrap();
        let made = list.conversations.iter();
        let made = made.filter(|it| it.name.as_deref() == Some("Newer"));
        assert_eq!(made.count(), 1, "it was made once");
        let cat = place.online("cat", "cat").await;
        cat.until("the conversation that cat was added to", || async {
            let talk = cat.client.conversation(newer_id.clone()).ok()?;
            (talk.info().await.ok()?.name.as_deref() == Some("Newer")).then_some(())
        })
        .await;
        let said = ann.messages(tea).await;
        assert!(said.iter().all(|message| message.id.is_some()));
        assert!(ann.client.outbox().await.unwrap().is_empty());
    }
}

/// S077, S078, S089, S090, S091, S092, S094, S183, D01: every kind of write is made offline, the process is killed, and
/// the app started again: each effect is at the service once and in order, the outbox is empty, ids are final.
#[tokio::test]
async fn every_kind_of_write_made_offline_and_killed_is_done_once_and_in_order() {
    let written = Written::offline_and_killed("{}").await;
    let ann = written.place.device("phone", "ann").await;
    let waiting = ann.client.outbox().await.unwrap();
    let kinds: Vec<_> = waiting.iter().map(|entry| entry.kind).collect();
    for kind in [
        OutboxKind::Create,
        OutboxKind::Send,
        OutboxKind::Edit,
        OutboxKind::Recall,
        OutboxKind::Read,
        OutboxKind::Details,
        OutboxKind::Mute,
        OutboxKind::Join,
        OutboxKind::Quit,
        OutboxKind::AddMembers,
        OutboxKind::RemoveMembers,
    ] {
        assert!(kinds.contains(&kind), "{kind:?} is not in {kinds:?}");
    }
    ann.go_online().await;
    ann.has_sent_everything().await;
    written.is_done_once_and_in_order(&ann).await;
}

/// S092, S094: a refused member is named in the entry that failed; the others are in, and nothing is blocked.
#[tokio::test]
async fn who_could_not_be_added_is_named_and_the_others_are_in() {
    let place = Place::with_settings(r#"{"limits": {"members": 3}}"#).await;
    let ann = place.online("phone", "ann").await;
    let talk = ann
        .client
        .create_conversation(with_members("Tea", &["ben"]));
    let talk = talk.await.unwrap().conversation;
    talk.add_members(vec![id("cat"), id("dan")]).await.unwrap();
    talk.send_text("hello".into(), None).await.unwrap();
    let failure = ann
        .until("the refusal", || async {
            let entries = ann.client.outbox().await.ok()?;
            entries.into_iter().find_map(|entry| match entry.state {
                OutboxState::Failed { failure } => Some(failure),
                _ => None,
            })
        })
        .await;
    // The service counts all or none here: the whole addition is refused.
    assert!(
        matches!(
            failure,
            SendFailure::Refused { code: 4304, .. } | SendFailure::MembersRefused { .. }
        ),
        "{failure:?}"
    );
    ann.sees(&talk.conversation_id(), &["ann: hello"]).await;
}

/// S180, S181, S185, S186: options of a send: transient ones are never queued, and a priority and a will reach
/// the service.
#[tokio::test]
async fn a_message_is_sent_as_its_options_say() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let talk_id = ann.service_id(&talk).await;
    ben.sees(&talk_id, &["ann: hello"]).await;
    let mut told = ben.client.events();
    let typing = NewMessage {
        options: SendOptions {
            transient: true,
            priority: Some(Priority::High),
            ..SendOptions::default()
        },
        ..NewMessage::text("typing")
    };
    let sent = talk.send(typing.clone()).await.unwrap();
    assert!(sent.message.reference.is_some() && sent.entry.is_none());
    let heard = Device::is_told(&mut told, "a transient message", |event| match event {
        sampan::model::Event::TransientMessage { message, .. } => Some(message),
        _ => None,
    });
    assert_eq!(line(&heard.await), "ann: typing");
    let will = NewMessage {
        options: SendOptions {
            will: true,
            ..SendOptions::default()
        },
        ..NewMessage::text("ann is gone")
    };
    talk.send(will).await.unwrap();
    ann.has_sent_everything().await;
    ann.sees(&talk_id, &["ann: hello"]).await;
    ann.client.go_offline().unwrap();
    let queued = talk.send(typing).await;
    assert!(
        matches!(queued, Err(SampanError::NotConnected)),
        "{queued:?}"
    );
    assert!(ann.client.outbox().await.unwrap().is_empty());
    // A client that goes offline leaves no will.
    ben.sees(&talk_id, &["ann: hello"]).await;
}

/// S207: several conversations are marked read in one call.
#[tokio::test]
async fn several_conversations_are_marked_read_in_one_call() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    let mut talks = Vec::new();
    for name in ["ben", "cat", "dan"] {
        let other = place.online(name, name).await;
        let talk = other.talk_to("ann").await;
        talk.send_text("psst".into(), None).await.unwrap();
        talks.push(other.service_id(&talk).await);
        other.has_sent_everything().await;
    }
    for device in [&ann, &tablet] {
        device
            .until("three unread messages", || async {
                let totals = device.client.unread_totals().await.ok()?;
                (totals.all.conversations == 3).then_some(())
            })
            .await;
    }
    ann.client.mark_all_read(talks).await.unwrap();
    let totals = ann.client.unread_totals().await.unwrap();
    assert_eq!(totals.all.conversations, 0);
    tablet
        .until("no unread messages", || async {
            let totals = tablet.client.unread_totals().await.ok()?;
            (totals.all.conversations == 0).then_some(())
        })
        .await;
    let unknown = vec![ConversationId::new("5f0000000000000000000000").unwrap()];
    let refused = ann.client.mark_all_read(unknown).await;
    assert!(matches!(refused, Err(SampanError::NotFound { .. })));
}

/// S206: a conversation is marked read up to a message, on all devices of the reader.
#[tokio::test]
async fn a_conversation_is_marked_read_up_to_a_message() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    let ben = place.online("ben", "ben").await;
    let talk = ben.talk_to("ann").await;
    for words in ["one", "two", "three"] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    let talk_id = ben.service_id(&talk).await;
    let unread = |device: Device, count: u32| {
        let id = talk_id.clone();
        async move {
            let what = format!("{count} unread messages");
            device
                .until(&what, || async {
                    let talk = device.client.conversation(id.clone()).ok()?;
                    (talk.info().await.ok()?.unread.count == count).then_some(())
                })
                .await;
            device
        }
    };
    let (ann, tablet) = (unread(ann, 3).await, unread(tablet, 3).await);
    let here = ann.client.conversation(talk_id.clone()).unwrap();
    let two = key_of(&ann, &here, "two").await;
    here.mark_read(Some(two.clone())).await.unwrap();
    assert_eq!(here.info().await.unwrap().unread.count, 1);
    let (ann, tablet) = (unread(ann, 1).await, unread(tablet, 1).await);
    // A mark never goes back, and an unsent message stands for the newest.
    let one = key_of(&ann, &here, "one").await;
    here.mark_read(Some(one)).await.unwrap();
    assert_eq!(here.info().await.unwrap().unread.count, 1);
    ann.client.go_offline().unwrap();
    let echo = here.send_text("four".into(), None).await.unwrap().local_id;
    here.mark_read(Some(MessageKey::local(echo))).await.unwrap();
    assert_eq!(here.info().await.unwrap().unread.count, 0);
    let strange = MessageKey::local(LocalId::new("nobody-knows").unwrap());
    let refused = here.mark_read(Some(strange)).await;
    assert!(matches!(refused, Err(SampanError::NotFound { .. })));
    ann.go_online().await;
    unread(tablet, 0).await;
}

/// S343: a message that the service took with other words shows these at the sender too, in views, in the
/// store and after an edit of it.
#[tokio::test]
async fn words_that_the_service_masks_take_the_place_of_the_senders_own() {
    let place = Place::with_settings(r#"{"masked_words": ["darn"]}"#).await;
    let ann = place.device("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let mut screen = Screen::newest(&talk).await;
    let first = talk.send_text("darn it".into(), None).await.unwrap();
    let second = talk.send_text("tea?".into(), None).await.unwrap();
    let second = MessageKey::local(second.local_id);
    let shows = |lines: [&'static str; 2]| {
        move |state: &TimelineState| state.items.iter().map(screen::line).eq(lines)
    };
    screen.until("the echoes", shows(["darn it", "tea?"])).await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    let id = ann.service_id(&talk).await;
    talk.edit(second, MessageContent::text("darn tea"))
        .await
        .unwrap();
    let masked = ["ann: **** it", "ann: **** tea"];
    for device in [&ann, &ben] {
        device.sees(&id, &masked).await;
    }
    screen
        .until("what others read", shows(["**** it", "**** tea"]))
        .await;
    let kept = talk.message(MessageKey::local(first.local_id)).await;
    let kept = kept.unwrap().message.unwrap();
    assert!(kept.edited_at.is_some() && kept.change.is_none());
    assert!(ann.client.outbox().await.unwrap().is_empty());
}

/// S079: a mute is taken back, also one that never left the device.
#[tokio::test]
async fn a_conversation_is_muted_and_unmuted() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let id = ann.service_id(&talk).await;
    talk.set_muted(true).await.unwrap();
    assert!(talk.info().await.unwrap().muted);
    ann.has_sent_everything().await;
    ann.client.go_offline().unwrap();
    talk.set_muted(false).await.unwrap();
    talk.set_muted(true).await.unwrap();
    talk.set_muted(false).await.unwrap();
    assert_eq!(ann.client.outbox().await.unwrap().len(), 1);
    assert!(!talk.info().await.unwrap().muted);
    ann.go_online().await;
    ann.has_sent_everything().await;
    let tablet = place.online("tablet", "ann").await;
    let there = tablet.client.fetch_conversation(id).await.unwrap();
    assert!(!there.info().await.unwrap().muted);
}

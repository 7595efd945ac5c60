//! The same store at another service: only the address changes.

use sampan::model::{ConversationId, OutboxEntry, OutboxKind, OutboxState, SendFailure};

use crate::place::{Device, Place, config, id};
use crate::writes::{Written, named};

/// D05: a phone whose app points to another service keeps what it has, and goes on there.
#[tokio::test]
async fn a_store_goes_on_at_another_service_when_only_the_address_changes() {
    let before = Place::new().await;
    let ann = before.online("phone", "ann").await;
    let ben = before.online("laptop", "ben").await;
    let old_talk = ann.talk_to("ben").await;
    let old_id = ann.service_id(&old_talk).await;
    old_talk
        .send_text("said before".into(), None)
        .await
        .unwrap();
    ben.sees(&old_id, &["ann: said before"]).await;
    ann.has_sent_everything().await;
    let theirs = ben.handle(&old_id);
    theirs.send_text("read this".into(), None).await.unwrap();
    ann.sees(&old_id, &["ann: said before", "ben: read this"])
        .await;
    ann.client.go_offline().unwrap();
    old_talk
        .send_text("never sent there".into(), None)
        .await
        .unwrap();
    let new_talk = ann.talk_to("carl").await;
    new_talk
        .send_text("hello, new place".into(), None)
        .await
        .unwrap();
    ann.engine.shutdown().await.unwrap();

    let after = Place::new().await;
    let server = after.config("phone").server;
    let ann = Device::open(config(server, &before.folder.path().join("phone")), "ann").await;
    let kept = [
        "ann: said before",
        "ben: read this",
        "ann: never sent there (pending)",
    ];
    assert_eq!(said(&ann, &old_id).await, kept);
    assert_eq!(unread(&ann, &old_id).await, 1);
    ann.go_online().await;
    let carl = after.online("tablet", "carl").await;
    let new_talk = ann.client.conversation(new_talk.conversation_id()).unwrap();
    let new_id = ann.service_id(&new_talk).await;
    carl.sees(&new_id, &["ann: hello, new place"]).await;

    // The other service has never heard of the old conversation: the app decides about the messages that were to be
    // sent there, and the old messages stay.
    let waits = ann
        .until("a refusal", || async {
            let outbox = ann.client.outbox().await.unwrap();
            let refused = |it: &OutboxEntry| matches!(it.state, OutboxState::Failed { .. });
            outbox.iter().all(refused).then_some(outbox)
        })
        .await;
    assert_eq!(waits.len(), 1, "{waits:?}");
    let kept = [
        "ann: said before",
        "ben: read this",
        "ann: never sent there (failed)",
    ];
    assert_eq!(said(&ann, &old_id).await, kept);
    assert_eq!(unread(&ann, &old_id).await, 1);
}

/// D05: queued work of every kind, made by a process that was killed, goes to another service: work that needs no
/// conversation of the old service is done there, once and in order; all else fails with the service's reason, blocks
/// nothing and leaves the conversations as they were.
#[tokio::test]
async fn queued_work_of_every_kind_is_done_at_another_service_or_says_why_not() {
    let written = Written::offline_and_killed("{}").await;
    let after = Place::new().await;
    let server = after.config("phone").server;
    let ann = Device::open(config(server, &written.store()), "ann").await;
    ann.go_online().await;
    let left = ann
        .until("an outbox in which nothing waits", || async {
            let outbox = ann.client.outbox().await.ok()?;
            let failed = |it: &OutboxEntry| matches!(it.state, OutboxState::Failed { .. });
            outbox.iter().all(failed).then_some(outbox)
        })
        .await;
    let ben = after.online("laptop", "ben").await;
    let made = named(&ann, "Newer").await;
    let made = ann.service_id(&made).await;
    ben.sees(&made, &["ann: first", "ann: second"]).await;

    let mut kinds: Vec<_> = left.iter().map(|entry| entry.kind).collect();
    kinds.sort();
    let mut expected = vec![OutboxKind::Send; 5];
    expected.extend([
        OutboxKind::Edit,
        OutboxKind::Recall,
        OutboxKind::Details,
        OutboxKind::Mute,
        OutboxKind::Join,
        OutboxKind::Quit,
        OutboxKind::AddMembers,
        OutboxKind::RemoveMembers,
    ]);
    expected.sort();
    assert_eq!(kinds, expected);
    for entry in left {
        let failure = match entry.state {
            OutboxState::Failed { failure } => failure,
            other => panic!("{other:?}"),
        };
        assert!(
            matches!(failure, SendFailure::Refused { .. }),
            "{:?}: {failure:?}",
            entry.kind
        );
    }
    let tea = ann.handle(&written.tea).info().await.unwrap();
    assert_eq!((tea.name.as_deref(), tea.muted), (Some("Tea"), false));
    assert!(tea.members.contains(&id("dan")));
}

async fn unread(device: &Device, conversation: &ConversationId) -> u32 {
    let info = device.handle(conversation).info().await.unwrap();
    info.unread.count
}

/// The timeline without gaps: only the old service knew if more was said there meanwhile.
async fn said(device: &Device, conversation: &ConversationId) -> Vec<String> {
    let mut lines = device.lines(conversation).await.unwrap();
    lines.retain(|line| line != "(gap)");
    lines
}

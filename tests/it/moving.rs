//! The same store at another service: only the address changes.

use sampan::model::{ConversationId, OutboxEntry, OutboxState};

use crate::place::{Device, Place, config};

/// D05: a phone whose app points to another service keeps what it has, and goes on there.
#[tokio::test]
async fn a_store_goes_on_at_another_service_when_only_the_address_changes() {
    let before = Place::new().await;
    let ann = before.online("phone", "ann").await;
    let ben = before.online("laptop", "ben").await;
    let old_talk = ann.talk_to("ben").await;
    let old_id = ann.service_id(&old_talk).await;
    old_talk.send_text("said before".into()).await.unwrap();
    ben.sees(&old_id, &["ann: said before"]).await;
    ann.has_sent_everything().await;
    ann.client.go_offline().unwrap();
    old_talk.send_text("never sent there".into()).await.unwrap();
    let new_talk = ann.talk_to("carl").await;
    new_talk.send_text("hello, new place".into()).await.unwrap();
    ann.engine.shutdown().await.unwrap();

    let after = Place::new().await;
    let server = after.config("phone").server;
    let ann = Device::open(config(server, &before.folder.path().join("phone")), "ann").await;
    let kept = ["ann: said before", "ann: never sent there (pending)"];
    assert_eq!(said(&ann, &old_id).await, kept);
    ann.go_online().await;
    let carl = after.online("tablet", "carl").await;
    let new_talk = ann
        .client
        .conversation(new_talk.conversation_id())
        .await
        .unwrap();
    let new_id = ann.service_id(&new_talk).await;
    carl.sees(&new_id, &["ann: hello, new place"]).await;

    // The other service has never heard of the old conversation: what was to be sent there is the
    // app's to decide about, and what was said stays.
    let waits = ann
        .until("a refusal", || async {
            let outbox = ann.client.outbox().await.unwrap();
            let refused = |it: &OutboxEntry| matches!(it.state, OutboxState::Failed { .. });
            outbox.iter().all(refused).then_some(outbox)
        })
        .await;
    assert_eq!(waits.len(), 1, "{waits:?}");
    let kept = ["ann: said before", "ann: never sent there (failed)"];
    assert_eq!(said(&ann, &old_id).await, kept);
}

/// The timeline without gaps: whether more was said there meanwhile, only the old service knew.
async fn said(device: &Device, conversation: &ConversationId) -> Vec<String> {
    let mut lines = device.lines(conversation).await.unwrap();
    lines.retain(|line| line != "(gap)");
    lines
}

//! Unread counts: the first values after a sign-in, and what clears them.

use std::collections::BTreeMap;

use sampan::model::{ConversationId, Event};

use crate::place::{Device, Place, id};

/// Says so many lines in a conversation with `ann`, and waits until the service has them.
async fn said(place: &Place, sender: &str, count: usize) -> ConversationId {
    let (raw, sender) = place.raw(sender).await;
    let members = [sender.clone(), id("ann")];
    let talk = raw
        .start_conversation(&sender, &members, "talk")
        .await
        .unwrap();
    let mut posted = Vec::new();
    for number in 0..count {
        posted.push(
            raw.post_text(&sender, &talk, &format!("line {number}"))
                .await
                .unwrap(),
        );
    }
    for said in posted {
        said.acknowledged().await.unwrap();
    }
    talk
}

/// S204, S213, S218: after a sign-in each conversation with something unread is told, with its count and
/// its newest message; the totals are their sum.
#[tokio::test]
async fn after_a_sign_in_each_conversation_with_something_unread_is_told() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let mut expected = BTreeMap::new();
    for (sender, count) in [("ben", 3_usize), ("cem", 1), ("dan", 7)] {
        let talk = said(&place, sender, count).await;
        expected.insert(talk, (count, format!("line {}", count - 1)));
    }
    let mut events = ann.client.events();
    ann.go_online().await;
    let mut told = BTreeMap::new();
    Device::is_told(&mut events, "all counts", |event| {
        if let Event::ConversationChanged { conversation, .. } = event {
            let count = usize::try_from(conversation.unread.count).unwrap();
            let last = conversation.last_message?;
            let words = last.content.words()?.to_owned();
            told.insert(conversation.id, (count, words));
        }
        (told == expected).then_some(())
    })
    .await;
    let totals = ann.client.unread_totals().await.unwrap();
    assert_eq!((totals.all.messages.0, totals.all.conversations.0), (11, 3));
    assert_eq!(totals.unmuted, totals.all, "nothing is muted");
}

/// The service tells fifty counts at a sign-in; the conversations beyond are counted all the same.
#[tokio::test]
async fn more_conversations_than_one_notification_names_are_all_counted() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    for number in 0..60 {
        said(&place, &format!("friend-{number}"), 3).await;
    }
    ann.go_online().await;
    ann.until("all counts", || async {
        let totals = ann.client.unread_totals().await.ok()?.all;
        (totals.messages == 180 && totals.conversations == 60).then_some(())
    })
    .await;
}

/// S222: a thousand unread messages are cleared by one call, here and on the client's other device.
#[tokio::test]
async fn a_thousand_unread_messages_are_cleared_by_one_call() {
    let place = Place::new().await;
    let talk = said(&place, "ben", 1000).await;
    let phone = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    for device in [&phone, &tablet] {
        device
            .until("a count", || async {
                let totals = device.client.unread_totals().await.ok()?;
                (totals.all.messages >= 99).then_some(())
            })
            .await;
    }
    phone.handle(&talk).mark_read(None).await.unwrap();
    assert_eq!(phone.client.unread_totals().await.unwrap().all.messages, 0);
    tablet
        .until("a cleared count", || async {
            let totals = tablet.client.unread_totals().await.ok()?;
            (totals.all.messages == 0).then_some(())
        })
        .await;
    phone.has_sent_everything().await;
    let later = place.online("watch", "ann").await;
    let fetched = later.client.fetch_conversation(talk).await.unwrap();
    assert_eq!(
        fetched.info().await.unwrap().unread.count,
        0,
        "the service knows"
    );
}

/// S206: opening a conversation is fetching its history and marking it read: both in one go.
#[tokio::test]
async fn opening_a_conversation_shows_its_history_and_leaves_nothing_unread() {
    let place = Place::new().await;
    let talk = said(&place, "ben", 30).await;
    let ann = place.online("phone", "ann").await;
    let opened = ann.client.fetch_conversation(talk.clone()).await.unwrap();
    while !opened.fetch_older(20).await.unwrap().start_reached {}
    opened.mark_read(None).await.unwrap();
    assert_eq!(ann.messages(&talk).await.len(), 30);
    assert_eq!(opened.info().await.unwrap().unread.count, 0);
    ann.has_sent_everything().await;
    let tablet = place.online("tablet", "ann").await;
    assert_eq!(tablet.client.unread_totals().await.unwrap().all.messages, 0);
}

/// Reading up to a message leaves what is newer unread.
#[tokio::test]
async fn reading_up_to_a_message_leaves_what_is_newer_unread() {
    let place = Place::new().await;
    let talk = said(&place, "ben", 5).await;
    let ann = place.online("phone", "ann").await;
    let all = ann
        .until("the messages", || async {
            let known = ann.client.conversation(talk.clone()).ok()?;
            known.info().await.ok()?;
            let all = ann.messages(&talk).await;
            (all.len() == 5).then_some(all)
        })
        .await;
    // Times differ by a millisecond at least, or the mark covers its neighbour as well.
    let until = all[2].sent_at;
    let newer = all.iter().filter(|it| it.sent_at > until).count();
    let opened = ann.handle(&talk);
    opened.mark_read_until(until).await.unwrap();
    let count = opened.info().await.unwrap().unread.count;
    assert_eq!(usize::try_from(count).unwrap(), newer);
}

/// S076: unread and read messages are each member's own; the last message is the same.
#[tokio::test]
async fn what_is_unread_is_each_members_own() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let cem = place.online("tablet", "cem").await;
    let talk = ann.talk_to_all(&["ben", "cem"]).await;
    talk.send_text("hello".into(), None).await.unwrap();
    let talk = ann.service_id(&talk).await;
    for member in [&ben, &cem] {
        member.sees(&talk, &["ann: hello"]).await;
    }
    ben.handle(&talk).mark_read(None).await.unwrap();
    cem.handle(&talk).set_muted(true).await.unwrap();
    for member in [&ben, &cem] {
        member.has_sent_everything().await;
    }
    for (member, count) in [(&ann, 0), (&ben, 0), (&cem, 1)] {
        let info = member.handle(&talk).info().await.unwrap();
        assert_eq!(info.unread.count, count, "{}", member.client.client_id());
        let last = info.last_message.expect("there is one");
        assert_eq!(last.content.words(), Some("hello"));
        assert_eq!(info.muted, count == 1, "who muted it is told so alone");
    }
}

//! Members, roles and presence that a device learns of after an absence, or asks for by itself.

use sampan::model::{Event, MemberRole};
use sampan::views::MemberListState;
use sampan::{MemberGroup, MemberListOptions, ServerAddress};

use crate::members::{Panel, line, next_notice};
use crate::place::{Device, Place, id};

/// Waits until everything that was missed is here.
async fn is_current(device: &Device) {
    device
        .until("the end of catching up", || async {
            let sync = device.client.state().sync;
            matches!(sync, sampan::SyncState::Current { .. }).then_some(())
        })
        .await;
}

/// S103, S295: comings and goings while this client was away are told once, when it is back: who, by whom and when.
/// Those before the first sign-in are not told.
#[tokio::test]
async fn changes_of_members_that_were_missed_are_told_once_afterwards() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let old = ann.talk_to_all(&["ben", "cat"]).await;
    let old_id = ann.service_id(&old).await;
    let ben = place.device("laptop", "ben").await;
    let mut told = ben.client.events();
    ben.go_online().await;
    is_current(&ben).await;
    assert_eq!(ben.handle(&old_id).info().await.unwrap().members.len(), 3);
    ben.client.go_offline().unwrap();
    old.add_members(vec![id("dan")]).await.unwrap();
    old.remove_members(vec![id("cat")]).await.unwrap();
    let new = ann.talk_to_all(&["ben", "eve"]).await;
    let new_id = ann.service_id(&new).await;
    ann.has_sent_everything().await;
    ben.go_online().await;
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let next = Device::is_told(&mut told, "what was missed", |event| match event {
            Event::MembersChanged { notice, .. } => Some(notice),
            _ => None,
        });
        let notice = next.await;
        let place = if notice.conversation == old_id {
            "old"
        } else {
            assert_eq!(notice.conversation, new_id);
            "new"
        };
        assert!(notice.at.is_some(), "{notice:?}");
        heard.push(format!("{place}: {}", line(&notice)));
    }
    heard.sort();
    let expected = [
        "new: Invited ben by ann",
        "new: Joined ben by ann",
        "old: Joined dan by ann",
        "old: Left cat by ann",
    ];
    assert_eq!(heard, expected);
    new.remove_members(vec![id("eve")]).await.unwrap();
    assert_eq!(next_notice(&mut told, &new_id).await, "Left eve by ann");
}

/// Roles that were given and clients that were silenced or blocked while this client was away show without a question,
/// and are told once, with the client that did it; of several changes of one member the last one counts. A service
/// whose REST interface is unknown tells nothing, and comings and goings are told without a name.
#[tokio::test]
async fn roles_and_lists_that_changed_while_away_are_known_afterwards() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to_all(&["ben", "cat", "dan", "eve"]).await;
    let talk_id = ann.service_id(&talk).await;
    let ben = place.device("laptop", "ben").await;
    let mut socket_only = place.config("tablet");
    socket_only.server = ServerAddress::Socket {
        url: place.socket_url().await,
    };
    let deaf = Device::open(socket_only, "ben").await;
    for device in [&ben, &deaf] {
        device.go_online().await;
        is_current(device).await;
        device.client.go_offline().unwrap();
    }
    for (member, role) in [
        ("cat", MemberRole::Manager),
        ("dan", MemberRole::Manager),
        ("dan", MemberRole::Member),
        ("ben", MemberRole::Manager),
    ] {
        talk.set_role(id(member), role).await.unwrap();
        ann.has_sent_everything().await;
    }
    talk.silence_members(vec![id("dan")]).await.unwrap();
    talk.block_members(vec![id("eve")]).await.unwrap();
    ann.has_sent_everything().await;
    let mut told = ben.client.events();
    ben.go_online().await;
    let mut heard = Vec::new();
    while heard.len() < 5 {
        heard.push(next_notice(&mut told, &talk_id).await);
    }
    heard.sort();
    let expected = [
        "Blocked eve by ann",
        "Left eve by ann",
        "Manager now ben by ann",
        "Manager now cat by ann",
        "Silenced dan by ann",
    ];
    assert_eq!(heard, expected);
    let mut panel = Panel::open(&ben.handle(&talk_id), MemberGroup::Members).await;
    panel
        .shows(&[
            "ann: Owner",
            "ben: Manager",
            "cat: Manager",
            "dan: Member silenced",
        ])
        .await;
    ben.client.go_offline().unwrap();
    let mut told = deaf.client.events();
    deaf.go_online().await;
    assert_eq!(next_notice(&mut told, &talk_id).await, "Left eve by nobody");
}

/// A list that was opened for it tells who is online: when it is opened, made larger and refreshed; another one tells
/// nothing of it.
#[tokio::test]
async fn a_list_of_members_tells_who_is_online_where_the_app_asked() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to_all(&["ben", "cat"]).await;
    ann.service_id(&talk).await;
    let mut plain = Panel::open(&talk, MemberGroup::Members).await;
    plain
        .shows(&["ann: Owner", "ben: Member", "cat: Member"])
        .await;
    let ben = place.online("laptop", "ben").await;
    let options = MemberListOptions {
        page: 2,
        online: true,
        ..MemberListOptions::default()
    };
    let mut panel = Panel {
        list: talk.members(Some(options)).await.unwrap(),
        state: MemberListState::default(),
    };
    panel
        .shows_some(&["ann: Owner online", "ben: Member online"])
        .await;
    panel.list.load_more(10).await.unwrap();
    let all = [
        "ann: Owner online",
        "ben: Member online",
        "cat: Member away",
    ];
    panel.shows(&all).await;
    ben.client.go_offline().unwrap();
    let cat = place.online("tablet", "cat").await;
    ann.until("ben to be away, and cat here", || async {
        let online = ann
            .client
            .online_of(vec![id("ben"), id("cat")])
            .await
            .ok()?;
        (online == [id("cat")]).then_some(())
    })
    .await;
    panel.list.refresh().await.unwrap();
    let all = [
        "ann: Owner online",
        "ben: Member away",
        "cat: Member online",
    ];
    panel.shows(&all).await;
    plain
        .shows(&["ann: Owner", "ben: Member", "cat: Member"])
        .await;
    drop(cat);
}

/// A list that is opened asks for roles by itself: a device that was never told of them shows them.
#[tokio::test]
async fn a_list_of_members_knows_roles_that_were_given_before_this_device_came() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to_all(&["ben", "cat"]).await;
    let talk_id = ann.service_id(&talk).await;
    talk.set_role(id("cat"), MemberRole::Manager).await.unwrap();
    ann.has_sent_everything().await;
    let ben = place.online("laptop", "ben").await;
    is_current(&ben).await;
    let mut panel = Panel::open(&ben.handle(&talk_id), MemberGroup::Members).await;
    panel
        .shows(&["ann: Owner", "cat: Manager", "ben: Member"])
        .await;
}

//! Members as a live view, what they may do, and what is told of them.

use std::sync::Arc;

use sampan::model::{
    ClientId, ConversationId, Event, MemberRole, MembersEvent, MembersNotice, OutboxState,
    SendFailure,
};
use sampan::views::MemberListState;
use sampan::{Conversation, EventStream, MemberGroup, MemberList, MemberListOptions, SampanError};

use crate::place::{Device, Place, id, in_time};

/// A list of members, and what a screen would show of it.
pub(crate) struct Panel {
    pub(crate) list: Arc<MemberList>,
    pub(crate) state: MemberListState,
}

impl Panel {
    pub(crate) async fn open(conversation: &Conversation, group: MemberGroup) -> Self {
        let options = MemberListOptions {
            group: Some(group),
            ..MemberListOptions::default()
        };
        Self {
            list: conversation.members(Some(options)).await.unwrap(),
            state: MemberListState::default(),
        }
    }

    /// Waits until the rows say this: `ann: Owner`, with ` silenced` behind it where that is so. There are no more.
    pub(crate) async fn shows(&mut self, wanted: &[&str]) {
        self.shows_some(wanted).await;
        assert_eq!(self.state.total.0, wanted.len() as u64);
    }

    /// The same, of a window that may not hold all.
    pub(crate) async fn shows_some(&mut self, wanted: &[&str]) {
        let what = format!("{wanted:?} in the list of members");
        let search = async {
            while self.state.version == sampan::Version::NONE || self.lines() != wanted {
                let next = self.list.next(self.state.version).await;
                let update = next.unwrap().expect("a view that has not ended");
                self.state.apply(update);
            }
        };
        in_time(&what, search).await;
    }

    fn lines(&self) -> Vec<String> {
        let rows = self.state.rows.iter().map(|row| {
            let silenced = if row.silenced { " silenced" } else { "" };
            let online = match row.online {
                Some(true) => " online",
                Some(false) => " away",
                None => "",
            };
            format!("{}: {}{silenced}{online}", row.client, row.role.name())
        });
        rows.collect()
    }
}

/// The next notice of members, as text: `Joined ben by ann`.
pub(crate) async fn next_notice(events: &mut EventStream, conversation: &ConversationId) -> String {
    let told = Device::is_told(events, "a notice of members", |event| match event {
        Event::MembersChanged { notice, .. } if notice.conversation == *conversation => {
            Some(line(&notice))
        }
        _ => None,
    });
    told.await
}

pub(crate) fn line(notice: &MembersNotice) -> String {
    let event = match notice.event {
        MembersEvent::RoleChanged { role } => format!("{} now", role.name()),
        event => format!("{event:?}"),
    };
    let mut members: Vec<_> = notice.members.iter().map(ClientId::as_str).collect();
    members.sort_unstable();
    let by = notice.by.as_ref().map_or("nobody", ClientId::as_str);
    format!("{event} {} by {by}", members.join(","))
}

/// The failure of the only entry that failed.
async fn failure(device: &Device) -> SendFailure {
    device
        .until("a failed entry", || async {
            let entries = device.client.outbox().await.ok()?;
            entries.into_iter().find_map(|entry| match entry.state {
                OutboxState::Failed { failure } => Some(failure),
                _ => None,
            })
        })
        .await
}

/// A list of members that was opened on a conversation made offline follows it into the one that the service has.
#[tokio::test]
async fn the_list_of_members_follows_a_conversation_that_becomes_another_one() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let theirs = ben.talk_to("ann").await;
    let there = ben.service_id(&theirs).await;
    ann.until("the conversation that ben made", || async {
        let known = ann.client.conversation(there.clone()).ok()?;
        (known.info().await.ok()?.members.len() == 2).then_some(())
    })
    .await;
    ann.client.go_offline().unwrap();
    let own = ann.talk_to("ben").await;
    assert!(own.info().await.unwrap().id.is_local());
    let mut list = Panel::open(&own, MemberGroup::Members).await;
    list.shows(&["ann: Owner", "ben: Member"]).await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    assert_eq!(own.info().await.unwrap().id, there);
    list.shows(&["ben: Owner", "ann: Member"]).await;
    theirs.add_members(vec![id("cat")]).await.unwrap();
    list.shows(&["ben: Owner", "ann: Member", "cat: Member"])
        .await;
}

/// S084, S090, S092, S094, S104: the members are a live list: an addition or removal made offline shows at once,
/// changes by others are followed, and the service counts the same.
#[tokio::test]
async fn the_list_of_members_is_live_and_shows_offline_changes_at_once() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let talk_id = ann.service_id(&talk).await;
    let mut list = Panel::open(&talk, MemberGroup::Members).await;
    list.shows(&["ann: Owner", "ben: Member"]).await;
    ann.client.go_offline().unwrap();
    talk.add_members(vec![id("cat"), id("dan")]).await.unwrap();
    let all = ["ann: Owner", "ben: Member", "cat: Member", "dan: Member"];
    list.shows(&all).await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    assert_eq!(talk.count_members().await.unwrap().0, 4);
    ben.until("four members", || async {
        let talk = ben.client.conversation(talk_id.clone()).ok()?;
        (talk.info().await.ok()?.members.len() == 4).then_some(())
    })
    .await;
    let his = ben.handle(&talk_id);
    let mut page = MemberListState::default();
    let options = MemberListOptions {
        page: 3,
        ..MemberListOptions::default()
    };
    let paged = his.members(Some(options)).await.unwrap();
    page.apply(paged.next(page.version).await.unwrap().unwrap());
    assert_eq!((page.rows.len(), page.more, page.total.0), (3, true, 4));
    assert_eq!(paged.load_more(3).await.unwrap().0, 1);
    page.apply(paged.next(page.version).await.unwrap().unwrap());
    assert_eq!((page.rows.len(), page.more, page.total.0), (4, false, 4));
    talk.remove_members(vec![id("dan")]).await.unwrap();
    list.shows(&["ann: Owner", "ben: Member", "cat: Member"])
        .await;
    let next = in_time("the removal", paged.next(page.version)).await;
    page.apply(next.unwrap().unwrap());
    assert_eq!(page.total.0, 3);
    paged.end();
    assert_eq!(paged.next(page.version).await.unwrap(), None);
    let ended = paged.load_more(1).await;
    assert!(matches!(ended, Err(SampanError::ViewEnded)), "{ended:?}");
}

/// The owner gives a role and takes it back, also while offline; a member who may not is shown the old role, and told
/// why.
#[tokio::test]
async fn roles_are_given_shown_and_rolled_back() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to_all(&["ben", "cat"]).await;
    let talk_id = ann.service_id(&talk).await;
    let mut told = ben.client.events();
    ann.client.go_offline().unwrap();
    talk.set_role(id("cat"), MemberRole::Manager).await.unwrap();
    let mut list = Panel::open(&talk, MemberGroup::Managers).await;
    list.shows(&["ann: Owner", "cat: Manager"]).await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    list.shows(&["ann: Owner", "cat: Manager"]).await;
    while next_notice(&mut told, &talk_id).await != "Manager now cat by ann" {}
    let his = ben.handle(&talk_id);
    let mut his_list = Panel::open(&his, MemberGroup::Members).await;
    let all = ["ann: Owner", "cat: Manager", "ben: Member"];
    his_list.shows(&all).await;
    ben.client.go_offline().unwrap();
    his.set_role(id("cat"), MemberRole::Member).await.unwrap();
    his_list
        .shows(&["ann: Owner", "ben: Member", "cat: Member"])
        .await;
    ben.go_online().await;
    let refused = failure(&ben).await;
    assert!(
        matches!(refused, SendFailure::Refused { code: 4320, .. }),
        "{refused:?}"
    );
    his_list.shows(&all).await;
    let owner = his.set_role(id("cat"), MemberRole::Owner).await;
    assert!(matches!(owner, Err(SampanError::InvalidArgument { .. })));
}

/// Roles that were given before this device heard of the conversation come when its list of members is asked for, and
/// so does their end.
#[tokio::test]
async fn roles_that_were_given_before_are_asked_for_with_the_members() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to_all(&["ben", "cat"]).await;
    let talk_id = ann.service_id(&talk).await;
    talk.set_role(id("ben"), MemberRole::Manager).await.unwrap();
    ann.has_sent_everything().await;
    let cat = place.online("laptop", "cat").await;
    let hers = cat.client.fetch_conversation(talk_id).await.unwrap();
    let mut list = Panel::open(&hers, MemberGroup::Members).await;
    list.shows(&["ann: Owner", "ben: Member", "cat: Member"])
        .await;
    in_time("the roles", list.list.refresh()).await.unwrap();
    list.shows(&["ann: Owner", "ben: Manager", "cat: Member"])
        .await;
    cat.client.go_offline().unwrap();
    let offline = list.list.refresh().await;
    assert_eq!(offline, Err(SampanError::NotConnected));
    talk.set_role(id("ben"), MemberRole::Member).await.unwrap();
    ann.has_sent_everything().await;
    cat.go_online().await;
    in_time("the roles", list.list.refresh()).await.unwrap();
    list.shows(&["ann: Owner", "ben: Member", "cat: Member"])
        .await;
}

/// S372: to join by id needs a conversation that exists, and waits for a connection.
#[tokio::test]
async fn joining_waits_for_a_connection_and_fails_where_there_is_no_conversation() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to_all(&["ben"]).await;
    let talk_id = ann.service_id(&talk).await;
    let cat = place.device("laptop", "cat").await;
    cat.client.join(talk_id.clone()).await.unwrap();
    assert_eq!(cat.client.outbox().await.unwrap().len(), 1, "it waits");
    let mut told = ann.client.events();
    cat.go_online().await;
    cat.has_sent_everything().await;
    assert_eq!(next_notice(&mut told, &talk_id).await, "Joined cat by cat");
    let nowhere = ConversationId::new("5f0000000000000000000000").unwrap();
    cat.client.join(nowhere).await.unwrap();
    let refused = failure(&cat).await;
    assert!(
        matches!(refused, SendFailure::Refused { code: 4303, .. }),
        "{refused:?}"
    );
}

/// Silenced members read on and cannot send; blocked ones are out and cannot come in. Both lists are live, are told,
/// and come whole from the service.
#[tokio::test]
async fn members_are_silenced_and_blocked_and_the_lists_are_live() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to_all(&["ben", "cat"]).await;
    let talk_id = ann.service_id(&talk).await;
    let mut told = ben.client.events();
    let mut members = Panel::open(&talk, MemberGroup::Members).await;
    ann.client.go_offline().unwrap();
    talk.silence_members(vec![id("ben")]).await.unwrap();
    talk.block_members(vec![id("cat")]).await.unwrap();
    members.shows(&["ann: Owner", "ben: Member silenced"]).await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    let mut notices = Vec::new();
    while notices.last().map(String::as_str) != Some("Left cat by ann") {
        notices.push(next_notice(&mut told, &talk_id).await);
    }
    // The service tells ben of his silence twice, as him and as a member: ben's app hears it once.
    notices.retain(|notice| !notice.starts_with("Invited") && !notice.starts_with("Joined"));
    let expected = [
        "Silenced ben by ann",
        "Blocked cat by ann",
        "Left cat by ann",
    ];
    assert_eq!(notices, expected);
    let his = ben.handle(&talk_id);
    let sent = his.send_text("let me".into(), None).await.unwrap();
    let refused = failure(&ben).await;
    assert!(
        matches!(refused, SendFailure::Refused { code: 4563, .. }),
        "{refused:?}"
    );
    talk.add_members(vec![id("cat")]).await.unwrap();
    let blocked = failure(&ann).await;
    assert!(
        matches!(&blocked, SendFailure::MembersRefused { refused }
            if matches!(refused.as_slice(), [it] if it.client == id("cat") && it.code == 4548)),
        "{blocked:?}"
    );
    // Another device of ann's was not told: it asks.
    let tablet = place.online("tablet", "ann").await;
    let there = tablet
        .client
        .fetch_conversation(talk_id.clone())
        .await
        .unwrap();
    for (group, rows) in [
        (MemberGroup::Silenced, ["ben: Member silenced"]),
        (MemberGroup::Blocked, ["cat: Member"]),
    ] {
        let mut list = Panel::open(&there, group).await;
        list.shows(&[]).await;
        list.list.refresh().await.unwrap();
        list.shows(&rows).await;
    }
    talk.unsilence_members(vec![id("ben")]).await.unwrap();
    talk.unblock_members(vec![id("cat")]).await.unwrap();
    members.shows(&["ann: Owner", "ben: Member"]).await;
    ann.until("one failed entry", || async {
        (ann.client.outbox().await.ok()?.len() == 1).then_some(())
    })
    .await;
    ben.client.retry(sent.entry.unwrap()).await.unwrap();
    ben.has_sent_everything().await;
    ann.sees(&talk_id, &["ben: let me"]).await;
    let entry = ann.client.outbox().await.unwrap().remove(0);
    ann.client.retry(entry.id).await.unwrap();
    ann.has_sent_everything().await;
    members
        .shows(&["ann: Owner", "ben: Member", "cat: Member"])
        .await;
}

/// A member who may not silence or block is told so, and nothing looks different afterwards.
#[tokio::test]
async fn who_may_not_silence_or_block_is_told_and_nothing_looks_different() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to_all(&["ben", "cat"]).await;
    let talk_id = ann.service_id(&talk).await;
    ben.until("the conversation", || async {
        let talk = ben.client.conversation(talk_id.clone()).ok()?;
        (talk.info().await.ok()?.members.len() == 3).then_some(())
    })
    .await;
    let his = ben.handle(&talk_id);
    let all = ["ann: Owner", "ben: Member", "cat: Member"];
    let mut list = Panel::open(&his, MemberGroup::Members).await;
    list.shows(&all).await;
    ben.client.go_offline().unwrap();
    his.block_members(vec![id("cat")]).await.unwrap();
    his.silence_members(vec![id("ann")]).await.unwrap();
    list.shows(&["ann: Owner silenced", "ben: Member"]).await;
    ben.go_online().await;
    list.shows(&all).await;
    let entries = ben.client.outbox().await.unwrap();
    let codes: Vec<_> = entries
        .into_iter()
        .map(|entry| match entry.state {
            OutboxState::Failed {
                failure: SendFailure::Refused { code, .. },
            } => code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [4320, 4320]);
    let nobody = his.block_members(Vec::new()).await;
    assert!(matches!(nobody, Err(SampanError::InvalidArgument { .. })));
    let own = his.silence_members(vec![id("ben")]).await;
    assert!(matches!(own, Err(SampanError::InvalidArgument { .. })));
}

/// S095, S096, S097, S098, S105, S107: an added member hears of the invitation, then of the members who joined, and
/// then the messages; every notice says who did it, to whom, where and when.
#[tokio::test]
async fn an_invitation_comes_before_the_first_message_and_notices_say_who_whom_and_when() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let mut told = ben.client.events();
    let talk = ann.talk_to("ben").await;
    talk.send_text("welcome".into(), None).await.unwrap();
    let talk_id = ann.service_id(&talk).await;
    let mut heard = Vec::new();
    let mut times = Vec::new();
    while heard.len() < 3 {
        let next = Device::is_told(
            &mut told,
            "an invitation and a message",
            |event| match event {
                Event::MembersChanged { notice, .. } => Some((line(&notice), notice.at)),
                Event::MessageAdded { message, .. } => Some((crate::place::line(&message), None)),
                _ => None,
            },
        );
        let (words, at) = next.await;
        heard.push(words);
        times.push(at);
    }
    let expected = [
        "Invited ben by ann",
        "Joined ann,ben by ann",
        "ann: welcome",
    ];
    assert_eq!(heard, expected);
    assert!(times[0].is_some() && times[0] == times[1], "{times:?}");
    talk.remove_members(vec![id("ben")]).await.unwrap();
    assert_eq!(next_notice(&mut told, &talk_id).await, "Removed ben by ann");
    let mut own = ann.client.events();
    talk.add_members(vec![id("cat")]).await.unwrap();
    while next_notice(&mut own, &talk_id).await != "Joined cat by ann" {}
}

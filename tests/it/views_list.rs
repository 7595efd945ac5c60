//! The list of conversations: a window that follows the store.

use std::sync::Arc;

use sampan::model::{Count, Json, NewConversation, Uniqueness};
use sampan::views::ListState;
use sampan::{
    Client, ContentKind, Conversation, ConversationFilter, ConversationList, ConversationOrder,
    ConversationRow, Delivery, ListEdit, ListOptions, ListUpdate,
};
use tokio::time::timeout;

use crate::place::{Device, PATIENCE, Place, id};
use crate::screen::catch_up;

/// A list, and what a screen would show of it.
struct Rows {
    list: Arc<ConversationList>,
    state: ListState,
}

impl Rows {
    async fn open(client: &Client, options: ListOptions) -> Self {
        let list = client.conversation_list(Some(options)).await.unwrap();
        let mut rows = Self {
            list,
            state: ListState::default(),
        };
        rows.update().await;
        rows
    }

    async fn update(&mut self) -> ListUpdate {
        let next = timeout(PATIENCE, self.list.next(self.state.version)).await;
        let update = next.unwrap_or_else(|_| panic!("no update after {:?}", self.names()));
        let update = update.unwrap().expect("a view that has not ended");
        self.state.apply(update.clone());
        update
    }

    async fn until(&mut self, what: &str, wanted: impl Fn(&ListState) -> bool) {
        let search = async {
            while !wanted(&self.state) {
                let next = self.list.next(self.state.version).await;
                self.state
                    .apply(next.unwrap().expect("a view that has not ended"));
            }
        };
        let found = timeout(PATIENCE, search).await;
        assert!(found.is_ok(), "no {what}: {:?}", self.state.rows);
    }

    fn names(&self) -> Vec<&str> {
        let names = self.state.rows.iter().map(|row| row.name.as_deref());
        names.map(Option::unwrap_or_default).collect()
    }

    fn row(&self, name: &str) -> &ConversationRow {
        let mut rows = self.state.rows.iter();
        rows.find(|row| row.name.as_deref() == Some(name)).unwrap()
    }
}

fn page(page: u32) -> ListOptions {
    ListOptions {
        page,
        ..ListOptions::default()
    }
}

fn filtered(filter: ConversationFilter) -> ListOptions {
    ListOptions {
        filter: Some(filter),
        ..ListOptions::default()
    }
}

/// A conversation with a name, made on this device.
async fn make(device: &Device, name: &str, members: &[&str]) -> Arc<Conversation> {
    let wanted = NewConversation {
        name: Some(name.to_owned()),
        members: members.iter().map(|member| id(member)).collect(),
        attributes: Some(Json::parse(format!(r#"{{"about":{{"topic":"{name}"}}}}"#)).unwrap()),
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    };
    let created = device.client.create_conversation(wanted).await.unwrap();
    created.conversation
}

/// The window starts at the top and grows; `total` counts all that match.
#[tokio::test]
async fn a_list_has_a_window_from_the_top_that_grows_and_the_number_of_all() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    for number in 0..7 {
        let talk = make(&ann, &format!("talk {number}"), &["ben"]).await;
        talk.send_text(format!("hello {number}"), None)
            .await
            .unwrap();
    }
    let mut rows = Rows::open(&ann.client, page(3)).await;
    assert_eq!(rows.state.rows.len(), 3);
    assert_eq!((rows.state.more, rows.state.total), (true, Count(7)));
    let first = rows.row("talk 6").clone();
    assert_eq!(
        rows.state.rows.first(),
        Some(&first),
        "the newest activity first"
    );
    let last = first.last.unwrap();
    assert_eq!(last.words.as_deref(), Some("hello 6"));
    assert_eq!((last.kind, last.is_own), (ContentKind::Text, true));
    assert!(matches!(last.delivery, Some(Delivery::Waiting { .. })));
    assert_eq!((first.unsent, first.failed), (Count(1), Count(0)));
    assert_eq!(
        (first.peer, first.member_count),
        (Some(id("ben")), Count(2))
    );
    assert_eq!(rows.list.load_more(10).await.unwrap(), Count(4));
    let update = rows.update().await;
    assert!(matches!(
        update.edits.as_slice(),
        [ListEdit::Insert { at: 3, .. }]
    ));
    assert_eq!((rows.state.rows.len(), rows.state.more), (7, false));
    assert_eq!(rows.list.load_more(10).await.unwrap(), Count(0));
}

/// A row in which something happens is one move; a row that moves below the window is a removal.
#[tokio::test]
async fn a_conversation_that_something_happens_in_goes_to_the_top_with_one_move() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let mut talks = Vec::new();
    for number in 0..4 {
        let talk = make(&ann, &format!("talk {number}"), &["ben"]).await;
        talk.send_text("first".into(), None).await.unwrap();
        talks.push(talk);
    }
    let mut all = Rows::open(&ann.client, page(10)).await;
    let mut top = Rows::open(&ann.client, page(2)).await;
    talks[1].send_text("second".into(), None).await.unwrap();
    let update = all.update().await;
    assert!(
        matches!(
            update.edits.as_slice(),
            [ListEdit::Move { from: 2, to: 0, .. }]
        ),
        "{:?}",
        update.edits
    );
    assert_eq!(all.names(), ["talk 1", "talk 3", "talk 2", "talk 0"]);
    top.update().await;
    assert_eq!(top.names(), ["talk 1", "talk 3"]);
}

/// A row keeps its key when the service's id takes over, and ids of before keep resolving.
#[tokio::test]
async fn a_row_keeps_its_key_when_the_service_gives_the_conversation_an_id() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    make(&ann, "tea", &["ben"]).await;
    let mut rows = Rows::open(&ann.client, page(10)).await;
    let before = rows.row("tea").clone();
    assert!(before.conversation.is_local());
    ann.go_online().await;
    let given = |state: &ListState| state.rows.iter().all(|row| !row.conversation.is_local());
    rows.until("an id of the service", given).await;
    assert_eq!(rows.row("tea").key, before.key);
    let by_its_old_id = ann.client.conversation(before.conversation).unwrap();
    assert!(by_its_old_id.info().await.is_ok());
}

/// A merge of a local conversation into an existing one is one update without a doubled row.
#[tokio::test]
async fn a_merge_leaves_one_row() {
    let place = Place::new().await;
    let phone = place.online("phone", "ann").await;
    let talk = phone.talk_to("ben").await;
    talk.send_text("from my phone".into(), None).await.unwrap();
    phone.has_sent_everything().await;
    let tablet = place.device("tablet", "ann").await;
    let again = tablet.talk_to("ben").await;
    again
        .send_text("from my tablet".into(), None)
        .await
        .unwrap();
    let mut rows = Rows::open(&tablet.client, page(10)).await;
    assert_eq!(rows.state.rows.len(), 1);
    catch_up(&tablet).await;
    tablet.has_sent_everything().await;
    let merged = |state: &ListState| {
        state.total == Count(1) && state.rows.iter().all(|row| !row.conversation.is_local())
    };
    rows.until("one row", merged).await;
    assert_eq!(rows.state.rows.len(), 1);
}

/// Filters and orders are decided on this device, and follow what changes.
#[tokio::test]
async fn filters_and_orders_follow_what_changes() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let mut talks = Vec::new();
    for name in ["Oolong", "assam", "Ceylon"] {
        talks.push(raw.start_conversation(&ben, &members, name).await.unwrap());
    }
    for talk in &talks {
        raw.say(&ben, talk, "hello").await.unwrap();
    }
    let ann = place.device("phone", "ann").await;
    catch_up(&ann).await;
    make(&ann, "chai", &["eve", "ben"]).await;
    let by = |order| ListOptions {
        order: Some(order),
        ..ListOptions::default()
    };
    let mut rows = Rows::open(&ann.client, by(ConversationOrder::Name)).await;
    assert_eq!(rows.names(), ["assam", "Ceylon", "chai", "Oolong"]);
    let only = [
        (
            ConversationFilter::Unread,
            vec!["Ceylon", "Oolong", "assam"],
        ),
        (
            ConversationFilter::Member { client: id("eve") },
            vec!["chai"],
        ),
        (
            ConversationFilter::Name {
                contains: "L".to_owned(),
            },
            vec!["Ceylon", "Oolong"],
        ),
        (
            ConversationFilter::Attribute {
                path: "about.topic".to_owned(),
                equals: Json::parse(r#""chai""#).unwrap(),
            },
            vec!["chai"],
        ),
        (
            ConversationFilter::All {
                parts: vec![
                    ConversationFilter::Unread,
                    ConversationFilter::Not {
                        part: Box::new(ConversationFilter::Name {
                            contains: "lon".to_owned(),
                        }),
                    },
                ],
            },
            vec!["assam"],
        ),
    ];
    for (filter, expected) in only {
        rows.list.show(filtered(filter.clone())).unwrap();
        let update = rows.update().await;
        assert!(matches!(update.edits.as_slice(), [ListEdit::Reset { .. }]));
        // Those of the same millisecond may stand either way.
        let mut names = rows.names();
        names.sort_unstable();
        assert_eq!(names, expected, "{filter:?}");
        assert_eq!(rows.state.total, Count::from(expected.len()));
    }
    rows.list
        .show(filtered(ConversationFilter::Unread))
        .unwrap();
    rows.update().await;
    let read = ann.client.conversation(talks[1].clone()).unwrap();
    read.mark_read(None).await.unwrap();
    rows.until("one less", |state| state.total == Count(2))
        .await;
    let mut names = rows.names();
    names.sort_unstable();
    assert_eq!(names, ["Ceylon", "Oolong"]);
}

/// The window shows what is stored, whatever happened in between.
#[tokio::test]
async fn at_rest_a_list_equals_one_that_is_read_anew() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let ann = place.device("phone", "ann").await;
    catch_up(&ann).await;
    let mut rows = Rows::open(&ann.client, page(100)).await;
    let mut talks = Vec::new();
    for round in 0..6 {
        let name = format!("talk {round}");
        let talk = raw.start_conversation(&ben, &members, &name).await.unwrap();
        talks.push(talk);
        for talk in &talks {
            raw.say(&ben, talk, &format!("round {round}"))
                .await
                .unwrap();
        }
        if round % 2 == 0 {
            ann.client.go_offline().unwrap();
        } else {
            catch_up(&ann).await;
            let talk = ann.client.conversation(talks[0].clone()).unwrap();
            talk.send_text(format!("mine {round}"), None).await.unwrap();
            talk.mark_read(None).await.unwrap();
            rows.update().await;
        }
    }
    ann.has_sent_everything().await;
    // Where they differ, an update is on its way: waiting for one that never comes fails.
    loop {
        let fresh = Rows::open(&ann.client, page(100)).await;
        if rows.state.rows == fresh.state.rows {
            break;
        }
        rows.update().await;
    }
    assert_eq!(rows.state.total, Count(6));
}

/// Lifetime: `end` and the engine's end give those who wait none.
#[tokio::test]
async fn a_list_that_ends_tells_those_who_wait() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let rows = Rows::open(&ann.client, page(5)).await;
    let other = Rows::open(&ann.client, page(5)).await;
    rows.list.end();
    assert_eq!(rows.list.next(rows.state.version).await.unwrap(), None);
    let waiting = tokio::spawn(async move { other.list.next(other.state.version).await.unwrap() });
    ann.engine.shutdown().await.unwrap();
    let told = timeout(PATIENCE, waiting).await.expect("it ends").unwrap();
    assert_eq!(told, None);
}

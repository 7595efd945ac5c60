//! The disk space of a client: told, given back, and kept within a budget.

use std::sync::Arc;

use sampan::model::NewMessage;
use sampan::{Client, ClientOptions, Conversation, LocalData, PageItem, SampanError, UnsentWork};

use crate::place::{Device, Place, id};

/// The number of messages that are sent, and of the newest ones that always stay.
const MANY: usize = 400;
const NEWEST: usize = 64;

/// A budget that no store can keep: every message goes that may go.
const BUDGET: u64 = 1 << 20;

/// The one that mentions the second client.
const MENTION: usize = 5;

/// Words of some kilobytes that hardly compress, and their number.
fn words(n: usize) -> String {
    let mut seed = n as u64 + 1;
    let mut text = format!("{n}:");
    while text.len() < 4_000 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695);
        text.push_str(&format!("{:x}", seed >> 8));
    }
    text
}

/// The numbers of the messages that are shown, oldest first; none for a gap.
async fn numbers(talk: &Conversation) -> Vec<Option<usize>> {
    let mut shown = Vec::new();
    let mut before = None;
    loop {
        let page = talk.page(before, 50).await.unwrap();
        let items = page.items.iter().map(|item| {
            let message = item.message()?;
            let (number, _) = message.content.words().unwrap().split_once(':').unwrap();
            Some(number.parse().unwrap())
        });
        shown.splice(0..0, items);
        before = page.items.iter().find_map(PageItem::place).cloned();
        if !page.more {
            return shown;
        }
    }
}

/// Two devices of two clients, of which the second has been sent many messages.
async fn sent(place: &Place, budget: Option<u64>) -> (Device, Device, Arc<Conversation>) {
    let ann = place.online("phone", "ann").await;
    let mut config = place.config("tablet");
    config.disk_budget = budget;
    let ben = Device::open(config, "ben").await;
    ben.go_online().await;
    let talk = ann.talk_to("ben").await;
    for n in 0..MANY {
        let mut message = NewMessage::text(words(n));
        if n == MENTION {
            message.mentions.clients.push(id("ben"));
        }
        talk.send(message).await.unwrap();
    }
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    let heard = ben
        .until("the last message", || async {
            let heard = ben.client.conversation(service_id.clone()).ok()?;
            let last = heard.info().await.ok()?.last_message?;
            let is_last = last.content.words()?.starts_with(&format!("{}:", MANY - 1));
            is_last.then_some(heard)
        })
        .await;
    (ann, ben, heard)
}

/// D12: old messages go, a gap is shown, paging back fetches them again. Unsent work, the newest
/// messages, an unread mention and what the user looks at stay.
#[tokio::test]
async fn a_budget_takes_the_oldest_messages_and_paging_back_fetches_them_again() {
    let place = Place::new().await;
    let (_ann, ben, heard) = sent(&place, Some(BUDGET)).await;
    ben.client.go_offline().unwrap();
    heard.send_text(words(MANY), None).await.unwrap();
    let kept = ben
        .until("room", || async {
            let usage = ben.client.storage_usage().await.unwrap();
            (usage.messages < MANY as u64 * 2 / 3).then_some(usage)
        })
        .await;
    assert_eq!(kept.budget_bytes, Some(BUDGET));
    assert_eq!(kept.unsent, 1);
    // The conversation in view loses no more messages.
    ben.client
        .focus(Some(heard.conversation_id()))
        .await
        .unwrap();
    let shown = numbers(&heard).await;
    assert_eq!(shown.first(), Some(&None), "a gap stands first: {shown:?}");
    assert!(shown.contains(&Some(MENTION)), "it was not read: {shown:?}");
    assert!(shown.ends_with(&(MANY - NEWEST..=MANY).map(Some).collect::<Vec<_>>()));
    for pair in shown.windows(2) {
        if let [Some(one), Some(next)] = pair {
            assert_eq!(one + 1, *next, "no hole without a gap: {shown:?}");
        }
    }
    ben.go_online().await;
    ben.has_sent_everything().await;
    loop {
        let fetched = heard.fetch_older(50).await.unwrap();
        if fetched.start_reached {
            break;
        }
    }
    let all: Vec<_> = (0..=MANY).map(Some).collect();
    assert_eq!(numbers(&heard).await, all);
    let usage = ben.client.storage_usage().await.unwrap();
    assert_eq!(usage.messages, MANY as u64 + 1);
}

/// A compaction gives space back and loses nothing; a call that can't compact says so.
#[tokio::test]
async fn compacting_changes_nothing_that_is_shown() {
    let place = Place::new().await;
    let (_ann, ben, heard) = sent(&place, None).await;
    let before = ben.client.storage_usage().await.unwrap();
    let all: Vec<_> = (0..MANY).map(Some).collect();
    assert_eq!(numbers(&heard).await, all);
    let (compacted, sent) = tokio::join!(
        ben.client.compact(),
        heard.send_text(format!("{MANY}:"), None)
    );
    compacted.unwrap();
    sent.unwrap();
    let after = ben.client.storage_usage().await.unwrap();
    assert!(after.file_bytes < before.file_bytes, "{before:?} {after:?}");
    assert!(after.live_bytes < after.file_bytes && after.conversations == 1);
    let all: Vec<_> = (0..=MANY).map(Some).collect();
    assert_eq!(numbers(&heard).await, all);
    ben.engine.shutdown().await.unwrap();
    assert_eq!(
        ben.client.compact().await.unwrap_err(),
        SampanError::ShutDown
    );
    let again = Device::open(place.config("tablet"), "ben").await;
    assert!(!again.client.open_report().found_damage);
    let heard = again.client.conversation(heard.conversation_id()).unwrap();
    let shown = numbers(&heard).await;
    assert_eq!(shown.iter().flatten().count(), MANY + 1);
}

/// Each client has an even part of the budget at least, and more when the others take less.
#[tokio::test]
async fn the_clients_of_an_engine_share_its_budget() {
    let place = Place::new().await;
    let mut config = place.config("phone");
    let whole = 100 << 20;
    config.disk_budget = Some(whole);
    let ann = Device::open(config, "ann").await;
    let share = async |client: &Client| {
        let usage = client.storage_usage().await.unwrap();
        usage.budget_bytes.unwrap()
    };
    assert_eq!(share(&ann.client).await, whole);
    let options = ClientOptions::default();
    let ben = ann.engine.client(id("ben"), options).await.unwrap();
    for client in [&ann.client, &ben] {
        let share = share(client).await;
        assert!((whole / 2..whole).contains(&share), "{share}");
    }
    ben.sign_out(LocalData::Keep, UnsentWork::KeepIt)
        .await
        .unwrap();
    assert_eq!(share(&ann.client).await, whole);
}

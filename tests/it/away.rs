//! A device comes back after an absence in which much happened: it shows what the service holds.

use std::collections::BTreeMap;

use sampan::model::{ConversationId, ConversationInfo, Json, MessageContent, MessageKey};
use serde_json::json;

use crate::interop::Peer;
use crate::place::{Device, Place, id};

const TALKS: usize = 80;
const MESSAGES: usize = 500;

/// The distance between two edited messages, and between two recalled ones: forty of each in all.
const CHANGED: usize = MESSAGES / 40;

/// Name, members and attributes of a conversation, in one line.
fn told(info: &ConversationInfo) -> String {
    let mut members: Vec<_> = info.members.iter().map(|it| it.as_str()).collect();
    members.sort_unstable();
    let attributes = info.attributes.as_ref().map(Json::to_value);
    format!("{:?} {members:?} {attributes:?}", info.name)
}

/// One message of the other program, or of the client's own other device.
async fn say(js: &mut Peer, tablet: &Device, talk: &ConversationId, number: usize) {
    let text = format!("line {number}");
    if (number + number / TALKS).is_multiple_of(2) {
        let said = json!({ "cid": talk.as_str(), "text": text });
        let said = js.does("say", said).await;
        let field = |name: &str| said.get(name).cloned().unwrap_or_default();
        let (id, timestamp) = (field("id"), field("timestamp"));
        let cid = talk.as_str();
        let edited = format!("edited {number}");
        match number % CHANGED {
            0 | 1 => {
                let edit = json!({ "cid": cid, "id": id, "timestamp": timestamp, "text": edited });
                js.does("edit", edit).await;
            }
            2 | 3 => {
                let recall = json!({ "cid": cid, "id": id, "timestamp": timestamp });
                js.does("recall", recall).await;
            }
            _ => {}
        }
        return;
    }
    let here = tablet.handle(talk);
    let sent = here.send_text(text, None).await.unwrap();
    let key = MessageKey::local(sent.local_id);
    match number % CHANGED {
        0 | 1 => {
            let content = MessageContent::text(format!("edited {number}"));
            here.edit(key, content).await.unwrap();
        }
        2 | 3 => {
            here.recall(key).await.unwrap();
        }
        _ => {}
    }
}

async fn change(js: &mut Peer, tablet: &Device, talk: &ConversationId, number: usize) {
    let cid = talk.as_str();
    let here = tablet.handle(talk);
    match number % 8 {
        0 => {
            js.does("add", json!({ "cid": cid, "members": ["eve"] }))
                .await;
        }
        1 => {
            js.does("remove", json!({ "cid": cid, "members": ["dan"] }))
                .await;
        }
        2 => {
            let renamed =
                json!({ "cid": cid, "name": format!("new {number}"), "attr": {"by": "js"} });
            js.does("rename", renamed).await;
        }
        3 => {
            here.add_members(vec![id("fay")]).await.unwrap();
        }
        4 => {
            here.set_name(format!("newer {number}")).await.unwrap();
        }
        5 => {
            let changes = Json::parse(r#"{"by": "tablet"}"#).unwrap();
            here.set_attributes(changes).await.unwrap();
        }
        _ => {}
    }
}

/// Each conversation as a device shows it: its line, its timeline, its unread count.
async fn shown(
    device: &Device,
    talks: &[ConversationId],
) -> BTreeMap<String, (String, Vec<String>, u32)> {
    let mut all = BTreeMap::new();
    for talk in talks {
        let here = device.client.conversation(talk.clone()).unwrap();
        let Ok(info) = here.info().await else {
            continue;
        };
        let lines = device.lines(talk).await.unwrap();
        all.insert(talk.to_string(), (told(&info), lines, info.unread.count));
    }
    all
}

/// S216, D13: an official SDK and a second device of the client say 500 things, edit and recall 80 of them, and change
/// members, names and attributes of 80 conversations while a device is away; interrupted three times while it
/// catches up, it shows what the service holds, without a gap, and counts what is unread.
#[tokio::test]
async fn a_device_that_was_away_shows_what_the_service_holds() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let phone = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    let mut talks = Vec::new();
    for number in 0..TALKS {
        let wanted =
            json!({ "members": ["ann", "dan"], "name": format!("talk {number}"), "unique": false });
        let cid = js.does("start", wanted).await["cid"].clone();
        talks.push(ConversationId::new(cid.as_str().unwrap()).unwrap());
    }
    for device in [&phone, &tablet] {
        device
            .until("all conversations", || async {
                let page = device.client.conversations(None, 200).await.ok()?;
                let known = page.conversations.iter().filter(|it| it.name.is_some());
                (known.count() == TALKS).then_some(())
            })
            .await;
    }
    phone.client.go_offline().unwrap();
    for number in 0..MESSAGES {
        say(&mut js, &tablet, &talks[number % TALKS], number).await;
    }
    for (number, talk) in talks.iter().enumerate() {
        change(&mut js, &tablet, talk, number).await;
    }
    tablet.has_sent_everything().await;

    for _ in 0..3 {
        phone.go_online().await;
        phone.client.go_offline().unwrap();
    }
    phone.go_online().await;
    // Another device asks the service for everything.
    let witness = place.online("witness", "ann").await;
    for talk in &talks {
        let here = witness
            .client
            .fetch_conversation(talk.clone())
            .await
            .unwrap();
        while !here.fetch_older(100).await.unwrap().start_reached {}
    }
    let mut truth = shown(&witness, &talks).await;
    for (number, talk) in talks.iter().enumerate() {
        let (_, lines, unread) = truth.get_mut(talk.as_str()).unwrap();
        assert!(
            !lines.iter().any(|line| line == "(gap)"),
            "{number}: {lines:?}"
        );
        let of_js = lines
            .iter()
            .filter(|line| line.starts_with("js: ") && *line != "js: recalled");
        *unread = u32::try_from(of_js.count()).unwrap();
    }
    for device in [&phone, &tablet] {
        let same = device.until("what the service holds", || async {
            (shown(device, &talks).await == truth).then_some(())
        });
        if tokio::time::timeout(std::time::Duration::from_secs(40), same)
            .await
            .is_err()
        {
            let shown = shown(device, &talks).await;
            let wrong: Vec<_> = truth
                .iter()
                .filter(|(talk, it)| shown.get(*talk) != Some(it))
                .collect();
            let instead: Vec<_> = wrong.iter().map(|(talk, _)| shown.get(*talk)).collect();
            panic!("{} differ: {wrong:#?}\nshown: {instead:#?}", wrong.len());
        }
    }
    let edited = truth.values().flat_map(|(_, lines, _)| lines);
    let changed = edited.filter(|line| line.contains("edited") || line.ends_with("recalled"));
    assert!(changed.count() >= 80, "forty edits and forty recalls");
}

//! Pushes: what an extension of the app shows without a store.

use std::path::PathBuf;

use sampan::model::{
    ConversationId, Json, NewMessage, PushDevice, PushPlatform, Timestamp, Unread,
};
use sampan::store::{GlanceBook, GlanceRow, Inbox};
use sampan::{Config, ExtensionInbox, SampanError, read_push};

use serde_json::json;

use crate::file_host::{FileHost, Trouble};
use crate::place::{Device, Place, id, in_time};

fn config(place: &Place, device: &str) -> (Config, PathBuf) {
    let mut config = place.config(device);
    let folder = place.folder.path().join(format!("{device}-shared"));
    config.inbox_folder = Some(folder.clone());
    (config, folder)
}

fn inbox(folder: PathBuf) -> std::sync::Arc<ExtensionInbox> {
    let app = sampan::model::AppId::new("it").unwrap();
    ExtensionInbox::open(folder, app, id("ann"), None).unwrap()
}

/// D09: after `pause` an extension knows sender, name, mute and badge of a push, counts it once, and the engine counts
/// the same when the app is back.
#[tokio::test]
async fn an_extension_shows_a_push_without_a_store_and_the_engine_agrees_later() {
    let place = Place::new().await;
    let (config, folder) = config(&place, "ann");
    let ann = Device::open(config, "ann").await;
    ann.go_online().await;
    let ben = place.online("ben", "ben").await;
    let talk = ben.talk_to("ann").await;
    talk.send_text("one".into(), None).await.unwrap();
    let conversation = ben
        .until("the service's id", || async {
            let id = talk.info().await.unwrap().id;
            (!id.is_local()).then_some(id)
        })
        .await;
    ann.sees(&conversation, &["ben: one"]).await;
    ann.engine.pause().await.unwrap();
    let extension = inbox(folder);
    assert_eq!(extension.unread().unwrap().unmuted.messages, 1);
    let glance = extension.glance(conversation.clone()).unwrap().unwrap();
    assert_eq!(glance.peer, Some(id("ben")));
    assert_eq!((glance.muted, glance.unread.count), (false, 1));
    assert_eq!(
        extension
            .glance(ConversationId::new("other").unwrap())
            .unwrap(),
        None
    );
    talk.send_text("two".into(), None).await.unwrap();
    let sent = ben
        .until("the message", || async {
            let messages = ben.messages(&conversation).await;
            messages
                .into_iter()
                .find(|it| it.content.words() == Some("two") && it.id.is_some())
        })
        .await;
    let payload = format!(
        r#"{{"aps":{{"alert":"two","badge":9}},"convId":"{conversation}","fromClientId":"ben",
        "timestamp":{},"messageId":"{}"}}"#,
        sent.sent_at.as_millis(),
        sent.id.unwrap().as_str(),
    );
    let hint = read_push(Json::parse(payload).unwrap()).unwrap().unwrap();
    assert_eq!(hint.sender, Some(id("ben")));
    for _ in 0..2 {
        let badge = extension.arrived(hint.clone()).unwrap();
        assert_eq!(badge.unmuted.messages, 2, "once, however often it is told");
    }
    ann.engine.resume().await.unwrap();
    ann.sees(&conversation, &["ben: one", "ben: two"]).await;
    ann.engine.pause().await.unwrap();
    assert_eq!(
        extension.unread().unwrap().unmuted.messages,
        2,
        "the engine has it now"
    );
    let marked = in_time("a read mark", async {
        let talk = ann.handle(&conversation);
        talk.mark_read(None).await
    });
    marked.await.unwrap();
    ann.engine.pause().await.unwrap();
    assert_eq!(extension.unread().unwrap().unmuted.messages, 0);
    ann.engine.shutdown().await.unwrap();
}

/// S187, S246, S249: an app says with a message what is pushed for it. The device that its receiver announced gets that,
/// and an extension of the receiver's app reads what it is about; a message that says nothing is pushed by the template.
#[tokio::test]
async fn the_push_data_of_a_message_reach_the_device_of_a_receiver_who_is_away() {
    let host = FileHost::start().await;
    let push = json!({"push": {
        "enabled": true,
        "webhook": format!("{}/push", host.url()),
        "template": {"alert": "something new"},
    }});
    let place = Place::with_settings(&push.to_string()).await;
    let ann = place.online("ann", "ann").await;
    let ben = place.online("ben", "ben").await;
    let device = PushDevice::new(PushPlatform::Android, "token-of-ben");
    in_time("a registration", ben.client.register_push(device))
        .await
        .unwrap();
    let talk = ann.talk_to("ben").await;
    let conversation = ann.service_id(&talk).await;
    ben.engine.pause().await.unwrap();
    ann.until("the service to know", || async {
        let online = ann.client.online_of(vec![id("ben")]).await;
        online.ok()?.is_empty().then_some(())
    })
    .await;
    let own = json!({"alert": "tea?", "badge": "Increment", "own": 1});
    let message = NewMessage {
        push: Some(Json::from_value(&own)),
        ..NewMessage::text("with words of its own")
    };
    talk.send(message).await.unwrap();
    let pushed = in_time("a push", host.pushed(1)).await;
    let [pushed] = &pushed[..] else {
        panic!("one push: {pushed:?}");
    };
    assert_eq!(pushed["client"], "ben");
    assert_eq!(pushed["deviceToken"], "token-of-ben");
    let payload = &pushed["payload"];
    assert_eq!(
        (&payload["alert"], &payload["own"]),
        (&own["alert"], &own["own"])
    );
    let hint = read_push(Json::from_value(payload)).unwrap().unwrap();
    assert_eq!(hint.conversation, conversation);
    assert_eq!(hint.sender, Some(id("ann")));
    // The push may come before the answer.
    ann.has_sent_everything().await;
    let sent = ann.messages(&conversation).await.pop().unwrap();
    assert_eq!((hint.message, hint.sent_at), (sent.id, Some(sent.sent_at)));
    talk.send_text("without".into(), None).await.unwrap();
    let pushed = in_time("another push", host.pushed(2)).await;
    assert_eq!(pushed.last().unwrap()["payload"]["alert"], "something new");
    ben.engine.shutdown().await.unwrap();
}

/// Registration: a device announces itself with the id of its sessions, for its client; the app is told the service's
/// answer.
#[tokio::test]
async fn a_device_announces_itself_for_pushes_and_is_told_when_it_is_refused() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let mut config = place.config("ann");
    config.api_url = Some(host.url());
    let ann = Device::open(config, "ann").await;
    let device = PushDevice::new(PushPlatform::Ios, "a0b1");
    let error = ann.client.register_push(device.clone()).await.unwrap_err();
    assert_eq!(error, SampanError::NotConnected, "no session was ever open");
    ann.go_online().await;
    in_time("a registration", ann.client.register_push(device.clone()))
        .await
        .unwrap();
    let body = host.state().installations.pop().unwrap();
    assert_eq!(
        (&body["deviceToken"], &body["channels"][0]),
        (&"a0b1".into(), &"ann".into())
    );
    assert_eq!(body["installationId"].as_str().unwrap().len(), 32);
    host.fail(
        "/1.1/installations",
        Trouble::Status(403, r#"{"code":403,"error":"no"}"#),
    );
    let error = ann.client.register_push(device).await.unwrap_err();
    assert!(
        matches!(error, SampanError::Refused { code: 403, .. }),
        "{error}"
    );
}

/// Tells the child process where the inbox is; without it the child's half of the test does nothing.
const FOLDER: &str = "SAMPAN_IT_PUSH_FOLDER";

/// The number of pushes that the child is handed.
const PUSHES: usize = 1000;

fn conversation(number: usize) -> ConversationId {
    ConversationId::new(format!("{number:024x}")).unwrap()
}

/// A number of the process in kilobytes, as the kernel tells it.
#[cfg(target_os = "linux")]
fn kilobytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The child: it treats each push as a notification extension does, and says how much memory that took.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "it is the other half of the test below, which starts it"]
fn child_that_is_handed_pushes() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    // Memory of its own: a system does not count the pages of the program against an extension.
    let before = kilobytes("RssAnon:");
    let mut most = before;
    let extension = inbox(folder.into());
    let mut badge = sampan::model::Count(0);
    for number in 0..PUSHES {
        let conversation = conversation(number % 2000);
        let payload = format!(
            r#"{{"aps":{{"alert":"words","badge":1}},"sampan":{{"conversation":"{conversation}",
            "message":"m{number}","sender":"ben","timestamp":{}}}}}"#,
            2_000_000 + number,
        );
        let hint = read_push(Json::parse(payload).unwrap()).unwrap().unwrap();
        let glance = extension
            .glance(hint.conversation.clone())
            .unwrap()
            .unwrap();
        assert_eq!(glance.name.as_deref(), Some("a conversation"));
        badge = extension.arrived(hint).unwrap().unmuted.messages;
        most = most.max(kilobytes("RssAnon:"));
    }
    println!("took:{} badge:{badge}", most - before);
}

/// D09: a process that is handed 1,000 pushes takes less than 12 MB for them, beside a glance of 2,000 conversations.
#[cfg(target_os = "linux")]
#[test]
fn a_thousand_pushes_take_an_extension_less_than_twelve_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    // The inbox of a client lies under a name of its own: the extension makes it.
    inbox(folder.path().to_owned())
        .mark_read(conversation(0), Timestamp::ZERO)
        .unwrap();
    let own = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let rows = (0..2000).map(|number| GlanceRow {
        conversation: conversation(number),
        name: Some("a conversation".to_owned()),
        peer: None,
        muted: false,
        unread: Unread::NONE,
        read_until: None,
        newest: Some(Timestamp::from_millis(1_000_000)),
    });
    let book = GlanceBook {
        rows: rows.collect(),
        ..GlanceBook::default()
    };
    Inbox::new(own, id("ann"), None)
        .write_glance(&book)
        .unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "push::child_that_is_handed_pushes",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    let said = said
        .lines()
        .find_map(|line| line.strip_prefix("took:"))
        .unwrap();
    let (took, badge) = said.split_once(" badge:").unwrap();
    assert_eq!(badge, PUSHES.to_string());
    let took: u64 = took.parse().unwrap();
    println!("{took} kB for {PUSHES} pushes");
    assert!(took < 12 * 1024, "{took} kB");
}

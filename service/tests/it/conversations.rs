//! Starting conversations, looking for them, changing them and their members.

use sampan::wire::generated::{ConvCommand, JsonObjectMessage};
use sampan::wire::{Command, Op};
use serde_json::{Value, json};

use crate::client::{Client, service};

fn unique(members: &[&str]) -> ConvCommand {
    ConvCommand {
        m: members.iter().map(|&member| member.to_owned()).collect(),
        unique: Some(true),
        ..ConvCommand::default()
    }
}

fn about(cid: &str, members: &[&str]) -> ConvCommand {
    ConvCommand {
        cid: Some(cid.to_owned()),
        m: members.iter().map(|&member| member.to_owned()).collect(),
        ..ConvCommand::default()
    }
}

async fn heard(client: &mut Client) -> Vec<(Op, Vec<String>)> {
    let heard = client.drain().await.into_iter();
    heard
        .filter_map(|command| match command {
            Command::Conv { op, body } => Some((op, body.m)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn the_same_members_start_the_same_unique_conversation() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let first = tom.conv(Op::Start, unique(&["Tom", "Jerry"])).await;
    let second = jerry.conv(Op::Start, unique(&["Tom"])).await;
    assert_eq!(first.cid, second.cid);
    assert_eq!((first.existing, second.existing), (None, Some(true)));
    assert_eq!(first.unique_id.unwrap().len(), 32);
    assert_eq!(
        heard(&mut tom).await,
        vec![
            (Op::Joined, vec![]),
            (Op::MembersJoined, vec!["Jerry".into(), "Tom".into()]),
        ]
    );
}

#[tokio::test]
async fn members_hear_who_comes_and_goes_as_the_protocol_tells() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let mut bob = Client::open(&service, "Bob").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    jerry.drain().await;
    let added = tom.conv(Op::Add, about(&cid, &["Bob"])).await;
    assert_eq!(added.allowed_pids, vec!["Bob".to_owned()]);
    let bobs = vec!["Bob".to_owned()];
    let both = vec![(Op::Joined, vec![]), (Op::MembersJoined, bobs.clone())];
    assert_eq!(heard(&mut bob).await, both);
    assert_eq!(
        heard(&mut tom).await,
        vec![(Op::MembersJoined, bobs.clone())]
    );
    assert_eq!(
        heard(&mut jerry).await,
        vec![(Op::MembersJoined, bobs.clone())]
    );
    bob.conv(Op::Remove, about(&cid, &["Bob"])).await;
    assert_eq!(heard(&mut bob).await, vec![(Op::Left, vec![])]);
    assert_eq!(heard(&mut tom).await, vec![(Op::MembersLeft, bobs)]);
    let refused = Command::conv(Op::Remove, about(&cid, &["Tom"]));
    assert_eq!(jerry.refused(refused).await, 4320);
    let owner = tom.conv(Op::Remove, about(&cid, &["Tom"])).await;
    assert_eq!(owner.failed_pids[0].code, 4324);
}

#[tokio::test]
async fn an_update_tells_what_was_submitted_and_what_came_of_it() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    jerry.drain().await;
    let text = r#"{"attr.n":{"__op":"Increment","amount":2}}"#;
    let attr = Some(JsonObjectMessage {
        data: text.to_owned(),
    });
    let update = ConvCommand {
        attr,
        ..about(&cid, &[])
    };
    let reply = tom.conv(Op::Update, update.clone()).await;
    assert_eq!(reply.attr_modified.unwrap().data, r#"{"attr":{"n":2}}"#);
    let told = jerry
        .hear_until(|command| match command {
            Command::Conv {
                op: Op::Updated,
                body,
            } => Some((**body).clone()),
            _ => None,
        })
        .await;
    assert_eq!(told.attr.unwrap().data, text);
    assert_eq!(told.udate, reply.udate);
    let mut bob = Client::open(&service, "Bob").await;
    assert_eq!(bob.refused(Command::conv(Op::Update, update)).await, 4309);
}

#[tokio::test]
async fn a_query_finds_by_member_condition_and_id() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    tom.start(&["Tom", "Bob"]).await;
    let (_, at) = tom.say(&cid, "hi").await;
    let query = |filter: &str, flag| ConvCommand {
        r#where: Some(JsonObjectMessage {
            data: filter.to_owned(),
        }),
        flag: Some(flag),
        ..ConvCommand::default()
    };
    let rows = |reply: ConvCommand| -> Vec<Value> {
        serde_json::from_str(&reply.results.unwrap().data).unwrap()
    };
    assert_eq!(rows(tom.conv(Op::Query, query("{}", 0)).await).len(), 2);
    let filter = r#"{"m":{"$all":["Tom","Jerry"],"$size":2},"name":{"$regex":"^\\Qte\\E"}}"#;
    let found = rows(tom.conv(Op::Query, query(filter, 2)).await);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["objectId"], json!(cid));
    assert_eq!(found[0]["m"], json!(["Jerry", "Tom"]));
    assert_eq!(found[0]["msg"], json!("hi"));
    assert_eq!(found[0]["bin"], json!(false));
    assert_eq!(found[0]["msg_timestamp"], json!(at));
    assert_eq!(found[0]["lm"]["__type"], json!("Date"));
    let mut stranger = Client::open(&service, "Eve").await;
    let by_id = query(&json!({ "objectId": cid }).to_string(), 1);
    let found = rows(stranger.conv(Op::Query, by_id).await);
    assert!(found.len() == 1 && found[0].get("m").is_none());
    assert_eq!(
        stranger
            .refused(Command::conv(Op::Query, query("[]", 0)))
            .await,
        4310
    );
}

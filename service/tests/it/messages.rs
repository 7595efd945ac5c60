//! Messages: sending, receiving, missing, reading, changing.

use sampan::wire::generated::{
    AckCommand, ConvCommand, DirectCommand, LogsCommand, PatchCommand, PatchItem, ReadCommand,
    ReadTuple, SessionCommand, UnreadTuple,
};
use sampan::wire::{Command, Envelope, Op};

use crate::client::{Client, said, service};

fn unread(command: &Command) -> Option<Vec<UnreadTuple>> {
    match command {
        Command::Unread(body) => Some(body.convs.clone()),
        _ => None,
    }
}

fn patched(command: &Command) -> Option<Vec<PatchItem>> {
    match command {
        Command::Patch {
            op: Op::Modify,
            body,
        } => Some(body.patches.clone()),
        _ => None,
    }
}

async fn logs(client: &mut Client, cid: &str, body: LogsCommand) -> Vec<String> {
    let query = LogsCommand {
        cid: Some(cid.to_owned()),
        ..body
    };
    match client.ask(Command::logs(query)).await {
        Command::Logs(body) => body
            .logs
            .into_iter()
            .map(|item| item.data.unwrap())
            .collect(),
        other => panic!("no history: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_reaches_every_other_device_with_the_id_and_time_of_its_acknowledgement() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut tablet = Client::open(&service, "Tom").await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    let (id, at) = tom.say(&cid, "hello").await;
    for receiver in [&mut jerry, &mut tablet] {
        let message = receiver.message().await;
        assert_eq!(message.id.as_deref(), Some(id.as_str()));
        assert_eq!(message.timestamp, Some(at));
        assert_eq!(message.msg.as_deref(), Some("hello"));
        assert_eq!(message.from_peer_id.as_deref(), Some("Tom"));
    }
    let heard = tom.drain().await;
    assert!(heard.is_empty(), "a sender hears no echo: {heard:?}");
}

#[tokio::test]
async fn a_send_repeated_with_its_token_stays_one_message() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    let body = DirectCommand {
        dt: Some("d-1".to_owned()),
        ..said(&cid, "once")
    };
    let first = tom.ask(Command::direct(body.clone())).await;
    let second = tom.ask(Command::direct(body)).await;
    assert_eq!(first, second);
    jerry.message().await;
    assert!(jerry.drain().await.is_empty());
    assert_eq!(
        logs(&mut tom, &cid, LogsCommand::default()).await,
        vec!["once".to_owned()]
    );
}

#[tokio::test]
async fn what_was_missed_is_counted_and_cleared_on_every_device() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    tom.say(&cid, "one").await;
    let mention = DirectCommand {
        mention_all: Some(true),
        ..said(&cid, "two")
    };
    tom.ask(Command::direct(mention)).await;
    let (mid, at) = tom.say(&cid, "three").await;
    let mut phone = Client::open(&service, "Jerry").await;
    let mut tablet = Client::open(&service, "Jerry").await;
    for device in [&mut phone, &mut tablet] {
        let tuples = device.hear_until(unread).await;
        assert_eq!((tuples.len(), tuples[0].unread), (1, 3));
        assert_eq!(tuples[0].mid.as_deref(), Some(mid.as_str()));
        assert_eq!(tuples[0].mentioned, Some(true));
    }
    let convs = vec![ReadTuple {
        cid: cid.clone(),
        timestamp: Some(at),
        mid: Some(mid.clone()),
    }];
    let read = ReadCommand {
        convs,
        ..ReadCommand::default()
    };
    phone.send(&Envelope::new(Command::Read(read))).await;
    for device in [&mut phone, &mut tablet] {
        assert_eq!(device.hear_until(unread).await[0].unread, 0);
    }
    let receipt = tom
        .hear_until(|command| match command {
            Command::Rcp(body) => Some(body.clone()),
            _ => None,
        })
        .await;
    assert_eq!((receipt.id, receipt.read), (Some(mid), Some(true)));
    let ask = ConvCommand {
        cid: Some(cid),
        ..ConvCommand::default()
    };
    let marks = tom.conv(Op::MaxRead, ask).await;
    assert_eq!(marks.max_read_timestamp, Some(at));
}

#[tokio::test]
async fn a_receipt_tells_that_a_message_arrived() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    let (id, _) = tom.say(&cid, "hello").await;
    jerry.message().await;
    let ack = AckCommand {
        cid: Some(cid),
        mid: Some(id.clone()),
        ..AckCommand::default()
    };
    for _ in 0..2 {
        jerry.send(&Envelope::new(Command::ack(ack.clone()))).await;
    }
    let heard = tom.drain().await;
    let [Command::Rcp(receipt)] = heard.as_slice() else {
        panic!("one receipt: {heard:?}")
    };
    assert_eq!((receipt.id.as_ref(), receipt.read), (Some(&id), None));
    assert_eq!(receipt.from.as_deref(), Some("Jerry"));
}

#[tokio::test]
async fn history_pages_from_both_ends_and_comes_oldest_first() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Tom"]).await;
    let mut places = Vec::new();
    for text in ["1", "2", "3", "4", "5"] {
        places.push(tom.say(&cid, text).await);
    }
    let page = |l, place: Option<&(String, i64)>, direction| LogsCommand {
        l: Some(l),
        mid: place.map(|(mid, _)| mid.clone()),
        t: place.map(|(_, at)| *at),
        direction,
        ..LogsCommand::default()
    };
    assert_eq!(logs(&mut tom, &cid, page(2, None, None)).await, ["4", "5"]);
    assert_eq!(
        logs(&mut tom, &cid, page(2, Some(&places[3]), None)).await,
        ["2", "3"]
    );
    assert_eq!(
        logs(&mut tom, &cid, page(2, None, Some(2))).await,
        ["1", "2"]
    );
    assert_eq!(
        logs(&mut tom, &cid, page(9, Some(&places[2]), Some(2))).await,
        ["4", "5"]
    );
    let mut between = page(9, Some(&places[3]), None);
    between.t_included = Some(true);
    between.tt = Some(places[1].1);
    assert_eq!(logs(&mut tom, &cid, between).await, ["3", "4"]);
    assert!(logs(&mut tom, &cid, page(0, None, None)).await.is_empty());
}

#[tokio::test]
async fn an_edit_and_a_recall_are_told_at_once_and_after_an_absence() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut jerry = Client::connect(&service, "Jerry").await;
    let opened = jerry
        .ask_envelope(jerry.opening(SessionCommand::default()))
        .await;
    let since = opened.server_ts.unwrap().as_millis();
    let cid = tom.start(&["Tom", "Jerry"]).await;
    let (mid, at) = tom.say(&cid, "tpyo").await;
    let item = |data: Option<&str>, recall| PatchItem {
        cid: Some(cid.clone()),
        mid: Some(mid.clone()),
        timestamp: Some(at),
        data: data.map(|data| data.as_bytes().to_vec()),
        recall: Some(recall),
        ..PatchItem::default()
    };
    let modify = |item| {
        let body = PatchCommand {
            patches: vec![item],
            ..PatchCommand::default()
        };
        Command::patch(Op::Modify, body)
    };
    let Command::Patch {
        op: Op::Modified,
        body,
    } = tom.ask(modify(item(Some("typo"), false))).await
    else {
        panic!("not modified")
    };
    let told = jerry.hear_until(patched).await;
    assert_eq!(told[0].data.as_deref(), Some(b"typo".as_slice()));
    assert_eq!(told[0].patch_timestamp, body.last_patch_time);
    assert_eq!(jerry.refused(modify(item(Some("mine"), false))).await, 4403);
    drop(jerry);
    tom.ask(modify(item(None, true))).await;
    let mut jerry = Client::connect(&service, "Jerry").await;
    let missed = SessionCommand {
        last_patch_time: Some(since),
        config_bitmap: Some(0xBB),
        ..SessionCommand::default()
    };
    jerry.sign_in(missed).await;
    let told = jerry.hear_until(patched).await;
    assert_eq!((told.len(), told[0].recall), (1, Some(true)));
    assert_eq!(
        logs(&mut jerry, &cid, LogsCommand::default()).await,
        [r#"{"_lctype":-127}"#]
    );
}

#[tokio::test]
async fn a_client_in_push_mode_is_sent_what_it_has_not_acknowledged() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    tom.say(&cid, "one").await;
    let (_, at) = tom.say(&cid, "two").await;
    for (login, texts) in [vec!["one", "two"], vec!["one", "two"], vec![]]
        .iter()
        .enumerate()
    {
        let mut jerry = Client::connect_with(&service, "Jerry", "lc.protobuf2.1").await;
        jerry.sign_in(SessionCommand::default()).await;
        let heard = jerry.drain().await;
        let pushed = heard.iter().map(|command| match command {
            Command::Direct(body) => {
                assert_eq!(body.offline, Some(true));
                body.msg.clone().unwrap()
            }
            other => panic!("not a message: {other:?}"),
        });
        assert_eq!(&pushed.collect::<Vec<_>>(), texts);
        if login == 1 {
            let ack = AckCommand {
                cid: Some(cid.clone()),
                tots: Some(at),
                ..AckCommand::default()
            };
            jerry.send(&Envelope::new(Command::ack(ack))).await;
            jerry.ask(Command::Echo).await;
        }
    }
}

#[tokio::test]
async fn who_is_not_a_member_can_neither_send_nor_read() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut eve = Client::open(&service, "Eve").await;
    let cid = tom.start(&["Tom"]).await;
    assert_eq!(eve.refused(Command::direct(said(&cid, "hi"))).await, 4401);
    let query = LogsCommand {
        cid: Some(cid),
        ..LogsCommand::default()
    };
    assert_eq!(eve.refused(Command::logs(query)).await, 4312);
    assert_eq!(eve.refused(Command::direct(said("0123", "hi"))).await, 4401);
}

#[tokio::test]
async fn a_will_is_delivered_when_its_sender_is_lost_and_not_when_it_leaves() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Tom", "Jerry", "Bob"]).await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let mut bob = Client::open(&service, "Bob").await;
    for client in [&mut jerry, &mut bob] {
        let will = DirectCommand {
            will: Some(true),
            ..said(&cid, "gone")
        };
        client.ask(Command::direct(will)).await;
    }
    bob.ask(Command::session(Op::Close, SessionCommand::default()))
        .await;
    drop((jerry, bob));
    let will = tom.message().await;
    assert_eq!(will.from_peer_id.as_deref(), Some("Jerry"));
    assert!(tom.drain().await.is_empty());
}

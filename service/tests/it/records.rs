//! Records that an app's own servers read over HTTP: a page that is read in parts is one answer.

use sampan::wire::generated::{ConvCommand, JsonObjectMessage};
use sampan::wire::{Command, Op};
use serde_json::Value;

use crate::client::{Client, service};
use crate::http::request;

const MASTER: &str = "X-LC-Id: myApp\r\nX-LC-Key: 0123456789abcdef01234567,master\r\n";

/// Enough that no part of a bounded cost reads all of them.
const CONVERSATIONS: usize = 250;

async fn rows(address: std::net::SocketAddr, path: &str) -> Vec<Value> {
    let answer = request(address, "GET", path, MASTER, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    match serde_json::from_str(&answer.body).unwrap() {
        Value::Array(rows) => rows,
        table => table.get("results").unwrap().as_array().unwrap().clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_everything_come_whole_while_others_are_served() {
    let service = service().await;
    let address = service.addr();
    let mut tom = Client::open(&service, "Tom").await;
    let mut said = Vec::new();
    for number in 0..CONVERSATIONS {
        let body = ConvCommand {
            m: vec![format!("other-{number}")],
            ..ConvCommand::default()
        };
        let cid = tom.conv(Op::Start, body).await.cid.unwrap();
        let text = format!("{number} {}", "x".repeat(4_000));
        tom.say(&cid, &text).await;
        said.push(text);
    }
    let mut jerry = Client::open(&service, "Jerry").await;
    let asked = async {
        let read = [
            rows(address, "/1.2/rtm/messages?limit=1000&reversed=true"),
            rows(address, "/1.2/rtm/messages?limit=1000&reversed=true"),
        ];
        futures_util::future::join_all(read).await
    };
    let served = async {
        for _ in 0..50 {
            assert_eq!(jerry.ask(Command::Echo).await, Command::Echo);
        }
    };
    let (pages, ()) = tokio::join!(asked, served);
    for page in pages {
        let texts: Vec<&str> = page.iter().map(|it| it["data"].as_str().unwrap()).collect();
        assert_eq!(texts, said);
    }
    let table = rows(address, "/1.1/scan/classes/_Conversation?limit=1000").await;
    assert_eq!(table.len(), CONVERSATIONS);
    service.stop().await;
}

/// Conversations whose rows are larger together than one answer may be are all counted.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_into_one_answer_are_all_counted() {
    const LARGE: usize = 950;
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    for number in 0..LARGE {
        let attributes = serde_json::json!({ "text": "x".repeat(4_700) });
        let body = ConvCommand {
            m: vec![format!("other-{number}")],
            attr: Some(JsonObjectMessage {
                data: attributes.to_string(),
            }),
            ..ConvCommand::default()
        };
        tom.conv(Op::Start, body).await.cid.unwrap();
    }
    let path = "/1.1/classes/_Conversation?limit=0&count=1";
    let answer = request(service.addr(), "GET", path, MASTER, "").await;
    let table: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(table.get("count"), Some(&LARGE.into()), "{}", answer.body);
}

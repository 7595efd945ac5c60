//! The rights of every caller over HTTP: every path with every key that a caller can have.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::{RawClient, patiently};
use crate::start;

/// The keys that a caller shows.
const CALLERS: [(&str, &str); 5] = [
    ("nothing", ""),
    ("a wrong key", "X-LC-Id: myApp\r\nX-LC-Key: myKe\r\n"),
    ("the key of no app", "X-LC-Id: other\r\nX-LC-Key: myKey\r\n"),
    ("the app's key", "X-LC-Id: myApp\r\nX-LC-Key: myKey\r\n"),
    (
        "the master key",
        "X-LC-Id: myApp\r\nX-LC-Key: myMasterKey,master\r\n",
    ),
];

/// Each path, and the statuses it answers to the callers, in their order.
const PATHS: &[(&str, &str, &str, [u16; 5])] = &[
    ("GET", "/", "", [200, 200, 200, 200, 200]),
    (
        "GET",
        "/v1/route?appId=myApp",
        "",
        [200, 200, 200, 200, 200],
    ),
    ("GET", "/2/route?appId=myApp", "", [200, 200, 200, 200, 200]),
    (
        "POST",
        "/1.1/rtm/sign",
        r#"{"session_token":"Tom"}"#,
        [401, 401, 401, 200, 200],
    ),
    (
        "POST",
        "/1.1/rtm/sign",
        r#"{"session_token":"Tom:Jerry"}"#,
        [401, 401, 401, 400, 400],
    ),
    (
        "GET",
        "/1.2/rtm/clients/sign?session_token=Tom",
        "",
        [401, 401, 401, 200, 200],
    ),
    (
        "POST",
        "/1.1/installations",
        "{}",
        [401, 401, 401, 201, 201],
    ),
    (
        "PUT",
        "/1.1/installations/x",
        "{}",
        [401, 401, 401, 200, 200],
    ),
    (
        "POST",
        "/1.1/fileTokens",
        r#"{"name":"a.png"}"#,
        [401, 401, 401, 200, 200],
    ),
    (
        "POST",
        "/1.1/fileCallback",
        r#"{"token":"made.up","result":false}"#,
        [401, 401, 401, 400, 400],
    ),
    (
        "POST",
        "/1.1/files",
        r#"{"url":"file:///etc/passwd"}"#,
        [401, 401, 401, 400, 400],
    ),
    (
        "POST",
        "/1.1/files/a.png",
        "bytes",
        [401, 401, 401, 201, 201],
    ),
    (
        "GET",
        "/1.1/files/000000000000000000000000",
        "",
        [401, 401, 401, 404, 404],
    ),
    (
        "DELETE",
        "/1.1/files/000000000000000000000000",
        "",
        [401, 401, 401, 401, 404],
    ),
    (
        "PUT",
        "/1.1/uploads/made.up",
        "bytes",
        [403, 403, 403, 403, 403],
    ),
    (
        "GET",
        "/files/..%2f..%2f/passwd/x",
        "",
        [404, 404, 404, 404, 404],
    ),
    (
        "POST",
        "/1.2/rtm/clients/Spike/kick",
        "{}",
        [401, 401, 401, 401, 200],
    ),
    (
        "POST",
        "/1.2/rtm/tokens/revoke",
        r#"{"client_id":"Spike"}"#,
        [401, 401, 401, 401, 200],
    ),
    (
        "POST",
        "/1.2/rtm/tokens/revoke",
        r#"{"client_id":7}"#,
        [401, 401, 401, 401, 400],
    ),
    ("GET", "/1.2/rtm/messages", "", [401, 401, 401, 401, 200]),
    (
        "GET",
        "/1.2/rtm/messages?limit=1001",
        "",
        [401, 401, 401, 401, 400],
    ),
    (
        "GET",
        "/1.2/rtm/messages?msgid=x",
        "",
        [401, 401, 401, 401, 400],
    ),
    (
        "GET",
        "/1.2/rtm/conversations/none/messages",
        "",
        [401, 401, 401, 401, 404],
    ),
    (
        "GET",
        "/1.2/rtm/clients/Tom/messages",
        "",
        [401, 401, 401, 401, 200],
    ),
    (
        "GET",
        "/1.1/scan/classes/_Conversation",
        "",
        [401, 401, 401, 401, 200],
    ),
    (
        "GET",
        "/1.1/scan/classes/_User",
        "",
        [401, 401, 401, 401, 404],
    ),
    (
        "POST",
        "/1.1/rtm/messages",
        r#"{"from_peer":"x"}"#,
        [401, 401, 401, 401, 404],
    ),
    (
        "PUT",
        "/1.1/rtm/patch/message",
        "{}",
        [401, 401, 401, 401, 404],
    ),
    (
        "POST",
        "/1.1/rtm/broadcast",
        "{}",
        [401, 401, 401, 401, 404],
    ),
    (
        "POST",
        "/1.1/rtm/broadcast/subscriber",
        "{}",
        [401, 401, 401, 401, 404],
    ),
    (
        "POST",
        "/1.1/classes/_Conversation",
        "{}",
        [401, 401, 401, 401, 200],
    ),
    (
        "GET",
        "/1.1/classes/_Conversation",
        "",
        [401, 401, 401, 401, 200],
    ),
    (
        "GET",
        "/1.1/classes/_Conversation/none",
        "",
        [401, 401, 401, 401, 404],
    ),
    (
        "PUT",
        "/1.1/classes/_Conversation/none",
        r#"{"name":"x"}"#,
        [401, 401, 401, 401, 404],
    ),
    (
        "DELETE",
        "/1.1/classes/_Conversation/none",
        "",
        [401, 401, 401, 401, 404],
    ),
    // No key stands for the token of a client.
    (
        "GET",
        "/1.1/rtm/notifications?client_id=Tom&start_ts=0",
        "",
        [401, 401, 401, 401, 401],
    ),
    (
        "GET",
        "/1.1/classes/_ConversationMemberInfo?client_id=Tom",
        "",
        [401, 401, 401, 401, 401],
    ),
    (
        "GET",
        "/1.2/rtm/nothing-of-ours",
        "",
        [404, 404, 404, 404, 404],
    ),
];

/// The status of a request.
async fn status(address: SocketAddr, request: &str) -> u16 {
    let answered = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = patiently(answered).await;
    let code = answer.split(' ').nth(1);
    code.and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no status: {answer}"))
}

fn request(method: &str, path: &str, body: &str, shown: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{shown}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_answers_those_only_who_show_what_it_asks_for() {
    let service = start().await;
    for (method, path, body, statuses) in PATHS {
        for ((caller, shown), expected) in CALLERS.iter().zip(statuses) {
            let request = request(method, path, body, shown);
            let got = status(service.addr(), &request).await;
            assert_eq!(got, *expected, "{method} {path} {body} with {caller}");
        }
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_kicked_is_told_4115_and_others_go_on() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let mut spike = RawClient::open(service.addr(), "Spike").await;
    let chat = tom.start(&["Tom", "Spike"]).await;
    let (_, shown) = CALLERS[4];
    let kick = request("POST", "/1.2/rtm/clients/Spike/kick", "{}", shown);
    assert_eq!(status(service.addr(), &kick).await, 200);
    assert_eq!(spike.refusal_or_end().await, Some(4115));
    assert_eq!(crate::raw::refusal(&tom.say(&chat, "hello").await), None);
    service.stop().await;
}

//! Small HTTP requests by hand, and the service's answer about itself.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::start;

/// Sends a request as it is, and answers everything that comes back until the service closes.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(std::time::Duration::from_secs(20), read)
        .await
        .expect("the service should have answered by now")
        .unwrap();
    String::from_utf8(answer).unwrap()
}

/// The service's answer about its health: the status, and the state in words.
pub(crate) async fn health(address: SocketAddr) -> (u16, String) {
    let answer = exchange(
        address,
        b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
    )
    .await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_serves_says_so() {
    let service = start().await;
    let (status, said) = health(service.addr()).await;
    assert_eq!(status, 200);
    assert!(said.contains(r#""state":"serving""#), "{said}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_refused_over_http_is_refused_as_json() {
    let service = start().await;
    let body = "x".repeat(70 * 1024);
    let large = format!(
        "POST /1.1/rtm/sign HTTP/1.1\r\nHost: here\r\nX-LC-Id: myApp\r\nX-LC-Key: myKey\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let odd = "GET /1.1/installations/%ff HTTP/1.1\r\nHost: here\r\nX-LC-Id: myApp\r\n\
               X-LC-Key: myKey\r\nConnection: close\r\n\r\n";
    for (request, status) in [(large.as_str(), "413"), (odd, "400")] {
        let answer = exchange(service.addr(), request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains("application/json"), "{answer}");
        assert!(answer.contains(r#""error":"#), "{answer}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_none_is_not_told_to_anybody() {
    let service = start().await;
    let request = "GET /v1/route?appId=myApp HTTP/1.1\r\nHost: evil/path?x\r\n\
                   Connection: close\r\n\r\n";
    let answer = exchange(service.addr(), request.as_bytes()).await;
    assert!(!answer.contains("evil"), "{answer}");
    let request = "GET /v1/route?appId=myApp HTTP/1.1\r\nHost: chat.example:81\r\n\
                   Connection: close\r\n\r\n";
    let answer = exchange(service.addr(), request.as_bytes()).await;
    assert!(answer.contains("ws://chat.example:81/"), "{answer}");
    assert!(answer.contains("no-store"), "{answer}");
    service.stop().await;
}

//! The app's own server, which speaks to the service over HTTP with the master key.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::place::{Place, in_time};

impl Place {
    /// Asks the service with the master key, and gives what it says.
    pub(crate) async fn rest(&self, method: &str, path: &str, body: &Value) -> Value {
        let (addr, body) = (self.service.addr(), body.to_string());
        let request = format!(
            "{method} /1.2/rtm{path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nX-LC-Id: it\r\n\
             X-LC-Key: it-master-key,master\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let exchange = async {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = in_time("an answer over HTTP", exchange).await;
        let (head, said) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        serde_json::from_str(said).unwrap()
    }
}

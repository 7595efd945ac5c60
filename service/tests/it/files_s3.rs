//! Files in a storage of another maker: moto, where the machine has it (`pip install 'moto[server]'`).

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use sampan_service::core::app::Secret;
use sampan_service::{FilesChoice, RunningService, S3Options, Service, ServiceOptions};
use serde_json::json;

use crate::files::{MASTER, asked, path_of, uploaded};
use crate::http::request;

/// Names the program, where it is not found as `moto_server`.
const PROGRAM: &str = "SAMPAN_MOTO_SERVER";

/// More than one part.
const LARGE: usize = 9 << 20;

/// A storage that is ended when this is dropped.
struct Moto {
    child: Child,
    /// Held so that the storage can write its log.
    log: Option<BufReader<ChildStderr>>,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the storage; none where the machine does not have it.
fn moto() -> Option<(Moto, SocketAddr)> {
    let program = std::env::var(PROGRAM).unwrap_or_else(|_| "moto_server".to_owned());
    let started = Command::new(program)
        .args(["-H", "127.0.0.1", "-p", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut moto = Moto {
        child: started.ok()?,
        log: None,
    };
    let mut log = BufReader::new(moto.child.stderr.take()?);
    let port = loop {
        let mut line = String::new();
        if log.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let url = line.split_once("http://127.0.0.1:");
        if let Some(port) = url.and_then(|(_, port)| port.trim().parse::<u16>().ok()) {
            break port;
        }
    };
    moto.log = Some(log);
    Some((moto, SocketAddr::from(([127, 0, 0, 1], port))))
}

async fn service_on(storage: SocketAddr) -> RunningService {
    let files = FilesChoice::S3(S3Options {
        endpoint: format!("http://{storage}"),
        bucket: "pictures".to_owned(),
        region: "us-east-1".to_owned(),
        key_id: "id".to_owned(),
        key: Secret::new("key"),
        bucket_in_host: false,
    });
    Service::start(ServiceOptions {
        files,
        ..ServiceOptions::in_memory("myApp:myKey:0123456789abcdef01234567".parse().unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_kept_read_and_taken_away_in_a_storage_of_another_maker() {
    let Some((_moto, storage)) = moto() else {
        eprintln!("SKIPPED: there is no moto_server here; nothing was checked");
        return;
    };
    // The service tells its log why a file fails, and the client nothing. Another test may have a log already.
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    assert_eq!(
        request(storage, "PUT", "/pictures", "", "").await.status,
        200
    );
    let service = service_on(storage).await;
    let address = service.addr();
    let small = uploaded(address, &json!({"name": "a.txt"}), "0123456789").await;
    let large = "0123456789abcdef".repeat(LARGE / 16);
    let in_parts = uploaded(address, &json!({"name": "b.bin"}), &large).await;
    let read = request(address, "GET", &path_of(&small["url"]), "", "").await;
    assert_eq!((read.status, read.body.as_str()), (200, "0123456789"));
    let range = "Range: bytes=8388600-8388615\r\n";
    let part = request(address, "GET", &path_of(&in_parts["url"]), range, "").await;
    assert_eq!((part.status, part.body.as_str()), (206, "89abcdef01234567"));
    let whole = request(address, "GET", &path_of(&in_parts["url"]), "", "").await;
    assert!(whole.body == large, "all of it");
    service.stop().await;

    let service = service_on(storage).await;
    let address = service.addr();
    let read = request(address, "GET", &path_of(&small["url"]), "", "").await;
    assert_eq!(read.body, "0123456789", "another service finds it");
    let late = asked(address, &json!({"name": "c.txt"})).await;
    let put = path_of(&late["upload_url"]);
    for (text, status) in [("first", 200), ("first", 200), ("other", 409)] {
        let answer = request(address, "PUT", &put, "", text).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let id = small["objectId"].as_str().unwrap();
    let path = format!("/1.1/files/{id}");
    assert_eq!(
        request(address, "DELETE", &path, MASTER, "").await.status,
        200
    );
    let gone = request(address, "GET", &path_of(&small["url"]), "", "").await;
    assert_eq!(gone.status, 404);
    service.stop().await;
}

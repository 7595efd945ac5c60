//! Files over HTTP: asked for, uploaded, read whole and in part, taken away.

use std::net::SocketAddr;
use std::path::Path;

use sampan_service::{RunningService, Service, ServiceOptions, StorageChoice};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{PATIENCE, service};
use crate::http::{Answer, request};

const KEY: &str = "X-LC-Id: myApp\r\nX-LC-Key: myKey\r\n";
pub(crate) const MASTER: &str = "X-LC-Id: myApp\r\nX-LC-Key: 0123456789abcdef01234567,master\r\n";
const SCRIPT: &str = "<script>alert(1)</script>";

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// The path of a URL of this service.
pub(crate) fn path_of(url: &Value) -> String {
    let url = url.as_str().unwrap();
    url.strip_prefix("http://here").unwrap().to_owned()
}

pub(crate) async fn asked(address: SocketAddr, body: &Value) -> Value {
    let answer = request(address, "POST", "/1.1/fileTokens", KEY, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    json_of(&answer)
}

/// Uploads a text, and answers the service's reply to the request for the upload.
pub(crate) async fn uploaded(address: SocketAddr, about: &Value, text: &str) -> Value {
    let asked = asked(address, about).await;
    let put = path_of(asked.get("upload_url").unwrap());
    let answer = request(address, "PUT", &put, "", text).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    asked
}

fn has(answer: &Answer, line: &str) -> bool {
    answer.head.lines().any(|it| it.eq_ignore_ascii_case(line))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_asked_for_uploaded_read_and_taken_away() {
    let service = service().await;
    let address = service.addr();
    let about = json!({"name": "a photo.png", "key": "0a1b.png", "mime_type": "image/png", "metaData": {"owner": "Tom"}});
    let asked = uploaded(address, &about, "0123456789").await;
    assert_eq!(asked["provider"], "s3");
    assert_eq!(asked["mime_type"], "image/png");
    let id = asked["objectId"].as_str().unwrap();
    let url = path_of(&asked["url"]);
    assert!(url.ends_with(&format!("/{id}/0a1b.png")), "{url}");
    let whole = request(address, "GET", &url, "", "").await;
    assert_eq!((whole.status, whole.body.as_str()), (200, "0123456789"));
    // The last part of its address is as much a secret as the rest.
    let another = url.replace("0a1b.png", "0a1c.png");
    assert_eq!(request(address, "GET", &another, "", "").await.status, 404);
    for line in [
        "content-type: image/png",
        "content-length: 10",
        "accept-ranges: bytes",
        "x-content-type-options: nosniff",
        "access-control-allow-origin: *",
        "content-disposition: inline; filename=\"0a1b.png\"",
    ] {
        assert!(has(&whole, line), "{line} in {}", whole.head);
    }
    let known = request(address, "GET", &format!("/1.1/files/{id}"), KEY, "").await;
    let known = json_of(&known);
    assert_eq!(known["metaData"], json!({"owner": "Tom", "size": 10}));
    assert_eq!(
        (&known["url"], &known["name"]),
        (&asked["url"], &json!("a photo.png"))
    );
    let said = json!({"token": asked["token"], "result": true}).to_string();
    assert_eq!(
        request(address, "POST", "/1.1/fileCallback", KEY, &said)
            .await
            .status,
        200
    );
    assert_eq!(request(address, "GET", &url, "", "").await.status, 200);
    let removed = request(address, "DELETE", &format!("/1.1/files/{id}"), MASTER, "").await;
    assert_eq!(removed.status, 200);
    for (path, shown) in [(url, ""), (format!("/1.1/files/{id}"), KEY)] {
        assert_eq!(request(address, "GET", &path, shown, "").await.status, 404);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_file_is_given_to_who_has_begun_it() {
    let service = service().await;
    let address = service.addr();
    let asked = uploaded(address, &json!({"name": "a.txt"}), "0123456789").await;
    let url = path_of(&asked["url"]);
    let whole = request(address, "GET", &url, "", "").await;
    let tag = whole
        .head
        .lines()
        .find_map(|it| it.strip_prefix("etag: "))
        .unwrap()
        .to_owned();
    let part = |headers: String| {
        let url = url.clone();
        async move { request(address, "GET", &url, &headers, "").await }
    };
    let answer = part(format!("Range: bytes=4-\r\nIf-Range: {tag}\r\n")).await;
    assert_eq!((answer.status, answer.body.as_str()), (206, "456789"));
    assert!(
        has(&answer, "content-range: bytes 4-9/10"),
        "{}",
        answer.head
    );
    let answer = part("Range: bytes=4-\r\nIf-Range: \"another\"\r\n".to_owned()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "0123456789"));
    let answer = part("Range: bytes=10-\r\n".to_owned()).await;
    assert_eq!(answer.status, 416);
    assert!(has(&answer, "content-range: bytes */10"), "{}", answer.head);
    let answer = part(format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((answer.status, answer.body.as_str()), (304, ""));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_could_run_a_script_is_saved_and_not_shown() {
    let service = service().await;
    let address = service.addr();
    for about in [
        json!({"name": "a.html"}),
        json!({"name": "a.png", "mime_type": "image/svg+xml"}),
        json!({"name": "a.txt", "mime_type": "text/html"}),
        json!({"name": "x.pdf"}),
    ] {
        let asked = uploaded(address, &about, SCRIPT).await;
        let answer = request(address, "GET", &path_of(&asked["url"]), "", "").await;
        assert!(
            has(&answer, "content-type: application/octet-stream"),
            "{about} {}",
            answer.head
        );
        assert!(
            answer.head.contains("content-disposition: attachment;"),
            "{about} {}",
            answer.head
        );
        assert!(answer.head.contains("sandbox") && has(&answer, "x-content-type-options: nosniff"));
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_again_is_the_same_file_and_another_one_is_refused() {
    let service = service().await;
    let address = service.addr();
    let asked = uploaded(address, &json!({"name": "a.txt"}), "the bytes").await;
    let put = path_of(&asked["upload_url"]);
    assert_eq!(
        request(address, "PUT", &put, "", "the bytes").await.status,
        200
    );
    assert_eq!(
        request(address, "PUT", &put, "", "other bytes")
            .await
            .status,
        409
    );
    let answer = request(address, "GET", &path_of(&asked["url"]), "", "").await;
    assert_eq!(answer.body, "the bytes");
    let (body, sign) = put.rsplit_once('.').unwrap();
    let forged = format!("{body}.x{}", sign.get(1..).unwrap());
    assert_eq!(
        request(address, "PUT", &forged, "", "the bytes")
            .await
            .status,
        403
    );
    let failed = json!({"token": asked["token"], "result": false}).to_string();
    assert_eq!(
        request(address, "POST", "/1.1/fileCallback", KEY, &failed)
            .await
            .status,
        200
    );
    assert_eq!(
        request(address, "GET", &path_of(&asked["url"]), "", "")
            .await
            .status,
        404
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_elsewhere_is_named_and_one_comes_without_a_link() {
    let service = service().await;
    let address = service.addr();
    let about = json!({"url": "https://example.com/cat.jpg", "metaData": {"__source": "external"}})
        .to_string();
    let headers = format!("{KEY}Content-Type: application/json\r\n");
    for path in ["/1.1/files/cat.jpg", "/1.1/files"] {
        let named = request(address, "POST", path, &headers, &about).await;
        assert_eq!(named.status, 201, "{}", named.body);
        let named = json_of(&named);
        assert_eq!(named["url"], "https://example.com/cat.jpg");
        let id = named["objectId"].as_str().unwrap();
        let known = request(address, "GET", &format!("/1.1/files/{id}"), KEY, "").await;
        assert_eq!(json_of(&known)["url"], "https://example.com/cat.jpg");
    }
    let headers = format!("{KEY}Content-Type: text/plain; charset=utf-8\r\n");
    let kept = request(address, "POST", "/1.1/files/hello.txt", &headers, "Hello").await;
    assert_eq!(kept.status, 201, "{}", kept.body);
    let kept = json_of(&kept);
    let read = request(address, "GET", &path_of(&kept["url"]), "", "").await;
    assert_eq!((read.body.as_str(), &kept["size"]), ("Hello", &json!(5)));
    assert!(has(&read, "content-type: text/plain"), "{}", read.head);
    service.stop().await;
}

async fn in_folder(folder: &Path, files: &Value) -> RunningService {
    let apps =
        sampan_service::core::settings::parse_file(&json!({"myApp": {"files": files}}).to_string());
    let credentials = "myApp:myKey:myMasterKey".parse().unwrap();
    let apps = sampan_service::core::app::Apps::new([credentials], apps.unwrap()).unwrap();
    let mut options = options_in(folder);
    options.apps = apps;
    Service::start(options).await.unwrap()
}

fn options_in(folder: &Path) -> ServiceOptions {
    let choice = StorageChoice::Folder(folder.to_owned());
    ServiceOptions::on_loopback("myApp:myKey:myMasterKey".parse().unwrap(), choice)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_service_on_the_same_data_takes_away_no_upload_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let service = in_folder(folder.path(), &json!({})).await;
    let on_its_way = folder.path().join("files/incoming/0.part");
    std::fs::write(&on_its_way, "half").unwrap();
    Service::start(options_in(folder.path())).await.unwrap_err();
    assert!(on_its_way.exists());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_outlive_the_service_and_so_does_an_upload_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let service = in_folder(folder.path(), &json!({})).await;
    let kept = uploaded(service.addr(), &json!({"name": "a.txt"}), "kept").await;
    let late = asked(service.addr(), &json!({"name": "b.txt"})).await;
    service.stop().await;
    let service = in_folder(folder.path(), &json!({})).await;
    let put = path_of(&late["upload_url"]);
    assert_eq!(
        request(service.addr(), "PUT", &put, "", "late")
            .await
            .status,
        200
    );
    for (asked, text) in [(kept, "kept"), (late, "late")] {
        let read = request(service.addr(), "GET", &path_of(&asked["url"]), "", "").await;
        assert_eq!(read.body, text);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_limit_of_the_app_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let limits = json!({"file_bytes": 1000, "total_bytes": 3000, "uploads": 5});
    let service = in_folder(folder.path(), &limits).await;
    let address = service.addr();
    let put = async |size: usize| {
        let asked = asked(address, &json!({"name": "a.bin"})).await;
        let path = path_of(&asked["upload_url"]);
        request(address, "PUT", &path, "", &"x".repeat(size))
            .await
            .status
    };
    assert_eq!(put(1001).await, 413);
    assert_eq!(put(1000).await, 200);
    assert_eq!(put(1000).await, 200);
    assert_eq!(put(1000).await, 507);
    assert_eq!(put(1).await, 200);
    assert_eq!(put(1).await, 429);
    service.stop().await;
    let service = in_folder(folder.path(), &json!({"enabled": false})).await;
    let asked = request(
        service.addr(),
        "POST",
        "/1.1/fileTokens",
        KEY,
        r#"{"name":"a"}"#,
    )
    .await;
    assert_eq!(asked.status, 403);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let service = in_folder(folder.path(), &json!({})).await;
    let asked = asked(service.addr(), &json!({"name": "a.bin"})).await;
    let path = path_of(&asked["upload_url"]);
    let mut socket = TcpStream::connect(service.addr()).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&vec![7; 500_000]).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    // The service may close without a word, for it can't tell a client that left from one that ended.
    let _ = timeout(PATIENCE, read)
        .await
        .expect("the service ends the connection");
    service.stop().await;
    let files = std::fs::read_dir(folder.path().join("files")).unwrap();
    let names: Vec<_> = files.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["incoming"]);
    let left = std::fs::read_dir(folder.path().join("files/incoming")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_through_in_little_memory() {
    const PIECES: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let service = in_folder(folder.path(), &json!({})).await;
    let asked = asked(service.addr(), &json!({"name": "a.bin"})).await;
    let piece: Vec<u8> = (0..1 << 20_u32)
        .map(|it: u32| it.to_le_bytes()[1])
        .collect();
    let mut socket = TcpStream::connect(service.addr()).await.unwrap();
    let (path, length) = (path_of(&asked["upload_url"]), PIECES * piece.len());
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..PIECES {
        timeout(PATIENCE, socket.write_all(&piece))
            .await
            .unwrap()
            .unwrap();
    }
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut socket = TcpStream::connect(service.addr()).await.unwrap();
    let get = format!(
        "GET {} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
        path_of(&asked["url"])
    );
    socket.write_all(get.as_bytes()).await.unwrap();
    let (mut read, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let count = timeout(PATIENCE, socket.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        if count == 0 {
            break;
        }
        read.extend_from_slice(buffer.get(..count).unwrap());
    }
    let body = read.get(read.len() - length..).unwrap();
    assert!(body.chunks(piece.len()).all(|it| it == piece));
    service.stop().await;
}

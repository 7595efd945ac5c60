//! TLS of the service's own, and proxies that do it in its place.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use sampan::wire::Command;
use sampan_service::{RunningService, Service, ServiceOptions, StorageChoice, TlsFiles};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{Client, PATIENCE};
use crate::http::{Answer, parsed, request};

/// The name in every certificate of these tests.
const NAME: &str = "chat.example";

/// Writes a new certificate with its key over the files.
fn renew(files: &TlsFiles) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    std::fs::write(&files.cert, cert.pem()).unwrap();
    CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap()
}

fn files_in(folder: &Path) -> TlsFiles {
    TlsFiles {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    }
}

async fn service_with(files: &TlsFiles) -> RunningService {
    let app = "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
    let options = ServiceOptions {
        tls: Some(files.clone()),
        ..ServiceOptions::on_loopback(app, StorageChoice::Memory)
    };
    Service::start(options).await.unwrap()
}

/// An encrypted socket, for a client that trusts this certificate alone.
async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // As a browser offers them.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(NAME).unwrap();
    timeout(PATIENCE, connector.connect(name, stream))
        .await
        .expect("keys in time")
}

async fn get(mut stream: TlsStream<TcpStream>, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    timeout(PATIENCE, read)
        .await
        .expect("an answer in time")
        .unwrap();
    parsed(&String::from_utf8(answer).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_encrypts_by_itself_and_sends_clients_back_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    let trusted = renew(&files);
    let service = service_with(&files).await;
    assert!(service.url().starts_with("https://"));
    let stream = connect(service.addr(), &trusted).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = get(stream, "/v1/route?appId=myApp").await;
    assert!(
        answer.body.contains("wss://chat.example/"),
        "{}",
        answer.body
    );
    let stream = connect(service.addr(), &trusted).await.unwrap();
    let mut tom = Client::over(stream, "Tom").await;
    tom.sign_in(Default::default()).await;
    tom.start(&["Tom", "Jerry"]).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_greets_new_connections_and_closes_none() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    let first = renew(&files);
    let service = service_with(&files).await;
    let stream = connect(service.addr(), &first).await.unwrap();
    let mut tom = Client::over(stream, "Tom").await;
    tom.sign_in(Default::default()).await;
    // A certificate that cannot be used is told, and changes nothing.
    std::fs::write(&files.cert, "no certificate").unwrap();
    connect(service.addr(), &first).await.unwrap();
    let second = renew(&files);
    let renewed = async { while connect(service.addr(), &second).await.is_err() {} };
    timeout(PATIENCE, renewed)
        .await
        .expect("the certificate is renewed");
    connect(service.addr(), &first).await.unwrap_err();
    assert_eq!(tom.ask(Command::Echo).await, Command::Echo);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_certificate_stop_the_start_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    renew(&files);
    let other = files_in(&folder.path().join("other"));
    std::fs::create_dir(folder.path().join("other")).unwrap();
    renew(&other);
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let pair = |cert: &Path, key: &Path| TlsFiles {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    let missing = folder.path().join("missing");
    for (files, word) in [
        (pair(&missing, &files.key), "missing"),
        (pair(&empty, &files.key), "empty"),
        (pair(&files.cert, &empty), "empty"),
        (pair(&files.cert, &other.key), "with its key"),
    ] {
        let app = "myApp:myKey:myMasterKey".parse().unwrap();
        let options = ServiceOptions {
            tls: Some(files),
            ..ServiceOptions::on_loopback(app, StorageChoice::Memory)
        };
        let error = Service::start(options).await.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_trusted_says_that_it_encrypts_and_another_one_does_not() {
    for (trusted, scheme) in [
        (vec!["127.0.0.0/8".parse().unwrap()], "wss"),
        (Vec::new(), "ws"),
    ] {
        let app = "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
        let options = ServiceOptions {
            trusted_proxies: trusted,
            ..ServiceOptions::on_loopback(app, StorageChoice::Memory)
        };
        let service = Service::start(options).await.unwrap();
        let headers = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n";
        let path = "/v1/route?appId=myApp";
        let answer = request(service.addr(), "GET", path, headers, "").await;
        let url = format!(r#""{scheme}://here/""#);
        assert!(answer.body.contains(&url), "{}", answer.body);
        service.stop().await;
    }
}

//! Encrypted connections: which certificates are believed, and what an app is told of others.

use std::time::Duration;

use sampan::model::ConnectionFailure;
use sampan::{Config, Engine, InsecureConnections, SampanError, ServerAddress, TrustedRoots};

use crate::cable::Cable;
use crate::place::{Device, Place, config};

/// A service behind a proxy that shows a certificate.
struct Fort {
    place: Place,
    cable: Cable,
}

impl Fort {
    async fn with(certificate: &str) -> Self {
        let cable = Cable::lay(Some(certificate)).await;
        let url = format!("https://localhost:{}", cable.addr.port());
        let place = Place::with(|options| options.public_url = Some(url)).await;
        cable.plug_into(place.service.addr());
        Self { place, cable }
    }

    /// A device that trusts an authority of the tests.
    fn config(&self, device: &str, authority: &str) -> Config {
        let url = format!("https://localhost:{}", self.cable.addr.port());
        let folder = self.place.folder.path().join(device);
        let mut config = config(ServerAddress::Router { url }, &folder);
        config.trust = TrustedRoots::Only {
            pem: pem(authority),
        };
        config.limits.backoff_first = Duration::from_millis(20);
        config
    }
}

fn pem(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

/// Waits until connecting failed, and says why.
async fn failure(device: &Device) -> ConnectionFailure {
    device
        .until("a failure", || async { device.engine.connection_failure() })
        .await
}

/// S018: router and WebSocket are reached through TLS, with an authority of the app's own.
#[tokio::test]
async fn two_devices_chat_through_tls() {
    let fort = Fort::with("service.pem").await;
    let ann = Device::open(fort.config("phone", "authority.pem"), "ann").await;
    let ben = Device::open(fort.config("laptop", "authority.pem"), "ben").await;
    ann.go_online().await;
    ben.go_online().await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("sealed".into(), None).await.unwrap();
    let service_id = ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: sealed"]).await;
    assert_eq!(ann.engine.connection_failure(), None);
    assert!(fort.cable.connections() >= 4, "each asked and connected");
}

/// A service whose certificate proves nothing gets nothing, and the app is told which kind of trouble it is.
#[tokio::test]
async fn a_certificate_that_is_not_to_be_believed_is_told_and_gets_nothing() {
    for (certificate, authority) in [
        ("service.pem", "stranger.pem"),
        ("elsewhere.pem", "authority.pem"),
        ("expired.pem", "authority.pem"),
    ] {
        let fort = Fort::with(certificate).await;
        let ann = Device::open(fort.config("phone", authority), "ann").await;
        let talk = ann.talk_to("ben").await;
        talk.send_text("secret".into(), None).await.unwrap();
        ann.client.go_online(None).unwrap();
        let failure = failure(&ann).await;
        assert!(
            matches!(failure, ConnectionFailure::Untrusted { .. }),
            "{certificate}: {failure:?}"
        );
        assert_eq!(
            ann.lines(&talk.conversation_id()).await.unwrap(),
            ["ann: secret (pending)"]
        );
    }
}

/// The roots that browsers trust don't include our own authority.
#[tokio::test]
async fn an_authority_that_nobody_named_is_not_trusted() {
    let fort = Fort::with("service.pem").await;
    let mut config = fort.config("phone", "authority.pem");
    config.trust = TrustedRoots::Web;
    let ann = Device::open(config, "ann").await;
    ann.client.go_online(None).unwrap();
    let failure = failure(&ann).await;
    assert!(matches!(failure, ConnectionFailure::Untrusted { .. }));
}

/// S018, S033: clear text to another machine is refused before a byte is sent, unless the app allows it.
#[tokio::test]
async fn clear_text_leaves_the_machine_only_where_the_app_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    // No loopback address to the engine; to the system it is this machine, so nothing leaves it.
    let server = ServerAddress::Socket {
        url: "ws://0.0.0.0:9/".to_owned(),
    };
    let strict = config(server.clone(), &folder.path().join("strict"));
    let ann = Device::open(strict, "ann").await;
    ann.client.go_online(None).unwrap();
    assert_eq!(failure(&ann).await, ConnectionFailure::Insecure);

    let mut lax = config(server, &folder.path().join("lax"));
    lax.insecure = InsecureConnections::Allowed;
    lax.limits.connect_timeout = Duration::from_millis(50);
    let ben = Device::open(lax, "ben").await;
    ben.client.go_online(None).unwrap();
    let failure = failure(&ben).await;
    assert!(
        matches!(
            failure,
            ConnectionFailure::TimedOut | ConnectionFailure::Unreachable { .. }
        ),
        "{failure:?}"
    );
}

/// Texts that are no certificates are found when the engine is opened, not when it connects.
#[tokio::test]
async fn certificates_that_can_not_be_read_do_not_open_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "no certificate", torn] {
        let url = "https://chat.example.org".to_owned();
        let mut config = config(ServerAddress::Router { url }, folder.path());
        config.trust = TrustedRoots::Only {
            pem: pem.to_owned(),
        };
        let refusal = Engine::open(config).unwrap_err();
        assert!(
            matches!(refusal, SampanError::InvalidArgument { .. }),
            "{pem:?}: {refusal}"
        );
    }
}

//! The inspector's page, asked by hand and shown in a real browser.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use sampan::wire::Command;
use sampan_service::core::app::Secret;
use sampan_service::{InspectorOptions, RunningService, Service, ServiceOptions, StorageChoice};
use serde_json::Value;
use tokio::time::timeout;

use crate::client::{Client, said};
use crate::http::{get, request};

const TOKEN: &str = "a-token-of-the-inspector";

/// Where Debian has its browser.
const CHROMIUM: &str = "/usr/bin/chromium";

async fn service_with_page() -> (RunningService, SocketAddr) {
    let app = "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
    let options = ServiceOptions {
        inspector: Some(InspectorOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            token: Secret::new(TOKEN),
        }),
        ..ServiceOptions::on_loopback(app, StorageChoice::Memory)
    };
    let service = Service::start(options).await.unwrap();
    let page = service.inspector_addr().unwrap();
    (service, page)
}

/// A question of the page, asked with its token.
async fn ask(page: SocketAddr, path: &str) -> Value {
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = request(page, "GET", path, &headers, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_empty_page_is_shown_without_the_token() {
    let (service, page) = service_with_page().await;
    let paths = [
        "/state",
        "/sessions?app=myApp",
        "/conversations?app=myApp",
        "/messages",
        "/events",
    ];
    for path in paths {
        assert_eq!(get(page, path).await.status, 401, "{path}");
        let wrong = "Authorization: Bearer a-token-of-the-inspectoR\r\n";
        assert_eq!(
            request(page, "GET", path, wrong, "").await.status,
            401,
            "{path}"
        );
    }
    let shown = get(page, "/").await;
    assert_eq!(shown.status, 200);
    let head = shown.head.to_lowercase();
    assert!(head.contains("content-security-policy: default-src 'none'; script-src 'sha256-"));
    assert!(
        !head.contains("unsafe") && head.contains("frame-ancestors 'none'"),
        "{head}"
    );
    for line in [
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!shown.body.contains("myApp"), "the page has data in it");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_in_order_and_texts_to_those_only_who_ask_for_them() {
    let (service, page) = service_with_page().await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Tom", "Jerry"]).await;
    tom.say(&cid, "xylophone").await;
    let code = tom
        .refused(Command::direct(said("nowhere", "quokka")))
        .await;
    tom.drain().await;
    let told = ask(page, "/events?after=0").await;
    let whats: Vec<&str> = told["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["what"].as_str().unwrap())
        .collect();
    assert_eq!(whats, ["session opened", "message", "refused"], "{told}");
    assert!(!told.to_string().contains("xylophone"), "{told}");
    let message = &told["events"][1];
    assert_eq!(
        (&message["client"], &message["conversation"]),
        (&"Tom".into(), &cid.clone().into())
    );
    assert_eq!(message["details"], "9 bytes to 0 sessions");
    assert_eq!(told["events"][2]["details"], format!("direct with {code}"));
    let texts = ask(page, "/events?after=1&texts=1").await;
    assert_eq!(texts["events"][0]["text"], "xylophone");
    let last = told["last"].as_u64().unwrap();
    tom.say(&cid, "more").await;
    tom.drain().await;
    let next = ask(page, &format!("/events?after={last}")).await;
    assert_eq!(next["events"].as_array().unwrap().len(), 1, "{next}");
    let state = ask(page, "/state").await;
    assert_eq!(state["apps"][0]["online"], 1, "{state}");
    assert_eq!(state["numbers"]["messages"], 2, "{state}");
    let sessions = ask(page, "/sessions?app=myApp").await;
    assert_eq!(sessions["results"][0]["client_id"], "Tom");
    let conversations = ask(page, "/conversations?app=myApp").await;
    assert_eq!(conversations["results"][0]["objectId"], cid);
    let path = format!("/messages?app=myApp&conversation={cid}");
    let messages = ask(page, &path).await;
    assert_eq!(messages[1]["bytes"], 9, "{messages}");
    assert!(!messages.to_string().contains("xylophone"), "{messages}");
    assert!(
        ask(page, &format!("{path}&texts=1"))
            .await
            .to_string()
            .contains("xylophone")
    );
    service.stop().await;
}

/// Runs the browser over the page until it has loaded its data.
async fn browse(profile: &Path, page: SocketAddr, what: &str) -> Vec<u8> {
    let mut browser = tokio::process::Command::new(CHROMIUM);
    browser
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args(["--window-size=1280,900", "--virtual-time-budget=4000", what])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("http://{page}/#{TOKEN}"))
        .kill_on_drop(true)
        .stdin(Stdio::null());
    let ran = timeout(Duration::from_secs(60), browser.output());
    ran.await.expect("the browser ends in time").unwrap().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_page_live_and_takes_no_text_for_html() {
    if Process::new(CHROMIUM)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("SKIPPED: there is no {CHROMIUM}: apt-get install chromium");
        return;
    }
    let (service, page) = service_with_page().await;
    let mut tom = Client::open(&service, "Tom").await;
    let _jerry = Client::open(&service, "<img src=x onerror=document.title='broken'>").await;
    let cid = tom
        .start_named(&["Tom", "Jerry"], "tea & <b>cake</b>")
        .await;
    tom.say(&cid, "xylophone").await;
    let folder = tempfile::tempdir().unwrap();
    let dom = browse(folder.path(), page, "--dump-dom").await;
    let dom = String::from_utf8(dom).unwrap();
    for shown in [
        "serving",
        "<td>Tom</td>",
        "&lt;img src=x",
        "tea &amp; &lt;b&gt;cake&lt;/b&gt;",
        cid.as_str(),
        "<td>message</td>",
        "9 bytes to 0 sessions",
    ] {
        assert!(dom.contains(shown), "{shown} is not shown:\n{dom}");
    }
    assert!(!dom.contains("<title>broken"), "a name ran as a script");
    assert!(
        !dom.contains("xylophone"),
        "a text is shown that nobody asked for"
    );
    let picture = folder.path().join("inspector.png");
    browse(
        folder.path(),
        page,
        &format!("--screenshot={}", picture.display()),
    )
    .await;
    let picture_bytes = std::fs::read(&picture).unwrap();
    assert!(picture_bytes.starts_with(b"\x89PNG") && picture_bytes.len() > 10_000);
    if let Ok(kept) = std::env::var("SAMPAN_SCREENSHOTS") {
        std::fs::copy(&picture, Path::new(&kept).join("inspector.png")).unwrap();
    }
    service.stop().await;
}

//! The inspector: a page that shows the service at work, on an address of its own and behind a token of its
//! own.
//!
//! The page is one file without data. The page asks for its data with the token in a header, so no other page
//! can ask in its name. Its content security policy lets it run its own script and talk to this address only.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan::model::AppId;
use sampan::wire::signature::KeyKind;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::feed::{Feed, beginning};
use super::health;
use super::http::{Shared, answer, ask_core};
use super::listener::PatientListener;
use super::report::report;
use crate::core::app::Secret;
use crate::core::{RecordsCall, RestAnswer, RestCall, ServerCall, ServerRequest};

/// The page with its style and script.
const PAGE: &str = include_str!("inspector.html");

/// Rows of each list.
const ROWS: &str = "100";

/// The source of the answers to the page's questions.
struct Inspector {
    shared: Arc<Shared>,
    feed: Arc<Feed>,
    token: Secret,
    started: Instant,
}

type Asked = State<Arc<Inspector>>;
type Parameters = Query<BTreeMap<String, String>>;

/// Serves the page until the service ends.
pub(super) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    (feed, token): (Arc<Feed>, Secret),
    mut stopped: watch::Receiver<bool>,
) {
    let inspector = Arc::new(Inspector {
        shared,
        feed,
        token,
        started: Instant::now(),
    });
    let gate = middleware::from_fn_with_state(Arc::clone(&inspector), admit);
    let router = Router::new()
        .route("/state", get(state))
        .route("/sessions", get(sessions))
        .route("/conversations", get(conversations))
        .route("/messages", get(messages))
        .route("/events", get(events))
        .route_layer(gate)
        .route("/", get(page))
        .with_state(inspector);
    let served = axum::serve(PatientListener::new(listener, None), router);
    let served = served.with_graceful_shutdown(async move {
        // An error means that the service is gone: that too asks to stop.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    });
    if let Err(error) = served.await {
        report(format_args!("listening for the inspector ended: {error}"));
    }
}

async fn page() -> Response {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash_of("script"),
        hash_of("style")
    );
    let mut response = axum::response::Html(PAGE).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The digest of the page's one element of this name, as a content security policy names it.
fn hash_of(element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let inside = PAGE
        .split_once(&open)
        .and_then(|(_, rest)| rest.split_once(&close));
    let (inside, _) = inside.unwrap_or_default();
    format!(
        "sha256-{}",
        STANDARD.encode(Sha256::digest(inside.as_bytes()))
    )
}

/// Lets a caller through that shows the token.
async fn admit(
    State(inspector): Asked,
    headers: HeaderMap,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let shown = headers.get(header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match shown.is_some_and(|shown| inspector.token.is(shown)) {
        true => next.run(request).await,
        false => answer(RestAnswer::refused(401, 401, "the token is wrong")),
    }
}

/// The service as a whole: whether it works, its apps, its numbers.
async fn state(State(inspector): Asked) -> Response {
    let shared = &inspector.shared;
    let health = health::of(&shared.reach).await;
    let apps = shared.apps();
    let metrics = &shared.reach.metrics;
    let apps = apps.iter().map(|app| {
        let id = app.credentials.id.as_str();
        json!({ "id": id, "online": metrics.online_in(id) })
    });
    let numbers: BTreeMap<&str, i64> = metrics.summary(shared.reach.levels()).into();
    answer(RestAnswer::ok(json!({
        "status": health.status,
        "state": health.body.get("state"),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_secs": inspector.started.elapsed().as_secs(),
        "apps": apps.collect::<Vec<Value>>(),
        "numbers": numbers,
    })))
}

/// The clients that are signed in.
async fn sessions(State(inspector): Asked, Query(query): Parameters) -> Response {
    listed(&inspector, &query, ServerCall::ListSessions).await
}

/// The conversations that changed last.
async fn conversations(State(inspector): Asked, Query(query): Parameters) -> Response {
    listed(&inspector, &query, ServerCall::Find(None)).await
}

async fn listed(
    inspector: &Inspector,
    query: &BTreeMap<String, String>,
    call: ServerCall,
) -> Response {
    let Some(app) = app_in(query) else {
        return no_app();
    };
    let request = ServerRequest {
        call,
        path: BTreeMap::new(),
        query: [("limit", ROWS), ("order", "-updatedAt")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: Value::Null,
        key: KeyKind::Master,
    };
    let call = RestCall::Server(Box::new(request));
    let asker = inspector.shared.inspector(app);
    answer(ask_core(&inspector.shared, asker, call).await)
}

/// The newest messages of a conversation; their texts only where they are asked for.
async fn messages(State(inspector): Asked, Query(query): Parameters) -> Response {
    let Some(app) = app_in(&query) else {
        return no_app();
    };
    let call = RecordsCall::OfConversation {
        id: query.get("conversation").cloned().unwrap_or_default(),
        query: [("limit".to_owned(), ROWS.to_owned())].into(),
    };
    let asker = inspector.shared.inspector(app);
    let found = ask_core(&inspector.shared, asker, RestCall::Records(call)).await;
    let Some(rows) = found.body.as_array() else {
        return answer(found);
    };
    let texts = wants_texts(&query);
    let rows = rows.iter().map(|row| {
        let data = row.get("data").and_then(Value::as_str).unwrap_or_default();
        json!({
            "at": row.get("timestamp"),
            "from": row.get("from"),
            "id": row.get("msg-id"),
            "bytes": data.len(),
            "text": texts.then(|| beginning(data)),
        })
    });
    answer(RestAnswer::ok(rows.collect()))
}

/// The events behind a number.
async fn events(State(inspector): Asked, Query(query): Parameters) -> Response {
    let after = query.get("after").and_then(|after| after.parse().ok());
    let after = after.unwrap_or(0);
    let (last, events) = inspector.feed.after(after, wants_texts(&query));
    answer(RestAnswer::ok(json!({ "last": last, "events": events })))
}

fn wants_texts(query: &BTreeMap<String, String>) -> bool {
    query.get("texts").is_some_and(|texts| texts == "1")
}

fn app_in(query: &BTreeMap<String, String>) -> Option<AppId> {
    AppId::new(query.get("app")?.as_str()).ok()
}

fn no_app() -> Response {
    answer(RestAnswer::refused(400, 1, "app is missing"))
}

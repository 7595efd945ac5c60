//! The HTTP side: routers, the endpoints that SDKs call, and the entry to the WebSocket.
//!
//! Every answer is JSON and says so, and browsers of any origin may read it: keys and tokens decide on the
//! rights of an app's users, not the origin of a page.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use sampan::model::{AppId, Timestamp};
use sampan::wire::Subprotocol;
use serde_json::Value;
use tokio::time::Instant;

use super::accounts;
use super::actor::Letter;
use super::addresses::Addresses;
use super::asking::{Asker, Asking, Place};
use super::clock::Clock;
use super::files::{self, FileDesk};
use super::gate::{self, Gate};
use super::health;
use super::hooks::HookCaller;
use super::listener::Peer;
use super::proxy::{self, Network};
use super::records;
use super::routers;
use super::servers;
use super::socket::{self, Reach};
use super::turns::Lane;
use crate::core::access::Operation;
use crate::core::app::Apps;
use crate::core::{
    ConnectionId, Dialect, Input, InstallationCall, RestAnswer, RestCall, RestRequest, Ticket,
};
use crate::files::Files;

/// The content type of every answer.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Characters of a web origin that are looked at.
const ORIGIN_MAX: usize = 300;

/// The paths by which the storage SDKs subscribe to a live query: objects of a storage that this service is not.
const LIVE_QUERIES: &str = "/1.1/LiveQuery/";

/// The number by which the storage SDKs know an operation that the app may not do.
const FORBIDDEN: i32 = 119;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The state that all handlers share.
pub(super) struct Shared {
    /// Changed as a whole when the settings are read anew.
    apps: RwLock<Arc<Apps>>,
    pub(super) clock: Clock,
    pub(super) reach: Reach,
    /// The requests that wait for the core.
    asking: Arc<Asking>,
    pub(super) public_url: Option<String>,
    /// The proxies that are believed.
    pub(super) trusted: Vec<Network>,
    pub(super) addresses: Addresses,
    pub(super) files: FileDesk,
    /// The functions of the apps' own servers.
    pub(super) hooks: HookCaller,
    /// Numbers connections and requests; none is used twice.
    pub(super) numbers: AtomicU64,
}

impl Shared {
    /// Before the first connection.
    pub(super) fn new(apps: Apps, clock: Clock, reach: Reach, options: Options) -> Self {
        Self {
            apps: RwLock::new(Arc::new(apps)),
            clock,
            reach,
            asking: Arc::default(),
            public_url: options.public_url,
            trusted: options.trusted,
            addresses: Addresses::new(options.address_rate),
            files: FileDesk::new(options.files),
            hooks: options.hooks,
            numbers: AtomicU64::new(1),
        }
    }

    /// The apps with their settings, as they are now.
    pub(super) fn apps(&self) -> Arc<Apps> {
        Arc::clone(&self.apps.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these apps are served.
    pub(super) fn serve_apps(&self, apps: Apps) {
        *self.apps.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(apps);
    }

    /// The asker of a request for an app.
    pub(super) fn asker(&self, app: AppId, request: &axum::extract::Request) -> Asker {
        let peer = request.extensions().get::<ConnectInfo<Peer>>();
        let nobody = IpAddr::from([0; 4]);
        let address = peer.map_or(nobody, |ConnectInfo(peer)| {
            proxy::caller(&self.trusted, peer, request.headers()).address
        });
        self.asking.asker(app, address)
    }

    /// The asker for the service's own page.
    pub(super) fn inspector(&self, app: AppId) -> Asker {
        self.asking.asker(app, IpAddr::from([0; 4]))
    }

    /// A place among the requests that wait, if there is one for this asker.
    pub(super) fn waiting_place(&self, asker: &Asker) -> Option<Place> {
        self.asking.place(asker.number)
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// The options of the HTTP side.
pub(super) struct Options {
    pub(super) public_url: Option<String>,
    pub(super) trusted: Vec<Network>,
    /// Requests a minute and address.
    pub(super) address_rate: Option<u32>,
    pub(super) files: Files,
    pub(super) hooks: HookCaller,
}

pub(super) type Parameters = Query<BTreeMap<String, String>>;

/// All routes, each with the operation that its path is for: the table of operations decides on the caller's
/// right before a handler runs.
fn routes() -> [(&'static str, Operation, MethodRouter<Arc<Shared>>); 12] {
    [
        ("/", Operation::Discover, get(connect)),
        ("/health", Operation::Discover, get(health::ready)),
        ("/health/ready", Operation::Discover, get(health::ready)),
        ("/health/live", Operation::Discover, get(health::live)),
        ("/v1/route", Operation::Discover, get(routers::route)),
        ("/2/route", Operation::Discover, get(routers::app_route)),
        (
            "/1.2/rtm/clients/{id}/kick",
            Operation::KickClient,
            post(kick),
        ),
        (
            "/1.2/rtm/tokens/revoke",
            Operation::RevokeTokens,
            post(revoke),
        ),
        (
            "/1.1/rtm/notifications",
            Operation::ReadNotifications,
            get(notifications),
        ),
        (
            "/1.1/classes/_ConversationMemberInfo",
            Operation::ReadMemberInfo,
            get(member_info),
        ),
        (
            "/1.1/installations",
            Operation::AnnounceInstallation,
            post(installation),
        ),
        (
            "/1.1/installations/{id}",
            Operation::AnnounceInstallation,
            get(known_installation).put(changed_installation),
        ),
    ]
}

/// The routes of all files.
fn all_routes() -> impl Iterator<Item = (&'static str, Operation, MethodRouter<Arc<Shared>>)> {
    routes()
        .into_iter()
        .chain(accounts::routes())
        .chain(records::routes())
        .chain(servers::routes())
        .chain(files::routes())
}

/// The router of all routes.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new();
    for (path, operation, handler) in all_routes() {
        let gate = Gate {
            shared: Arc::clone(&shared),
            path,
            operation,
        };
        let gate = middleware::from_fn_with_state(gate, gate::admit);
        router = router.route(path, handler.route_layer(gate));
    }
    router
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(for_browsers))
        .with_state(shared)
}

/// Lets pages of any origin call, and answers their questions about it. A refusal by the framework itself, in
/// plain text, gets the form of all others.
async fn for_browsers(request: axum::extract::Request, next: Next) -> Response {
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let status = response.status();
    if status.is_client_error() && response.headers().get(header::CONTENT_TYPE) != Some(&JSON) {
        let reason = status.canonical_reason().unwrap_or("refused");
        response = answer(RestAnswer::refused(status.as_u16(), 1, reason));
    }
    let headers = response.headers_mut();
    let allow = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, DELETE, OPTIONS",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Content-Type, Authorization, X-LC-Id, X-LC-Key, X-LC-Sign, X-LC-Session, \
             X-LC-IM-Session-Token, X-LC-Prod, X-LC-UA, Cache-Control, Range, If-Range, \
             If-None-Match",
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "Accept-Ranges, Content-Range, ETag",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    for (name, value) in allow {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The web origin that a browser names. A text that cannot be an origin stays a name that no app admits.
fn origin_of(value: &HeaderValue) -> String {
    let text = value.to_str().unwrap_or("null");
    text.chars().take(ORIGIN_MAX).collect()
}

/// The door to the WebSocket.
async fn connect(
    State(shared): State<Arc<Shared>>,
    Query(parameters): Parameters,
    headers: HeaderMap,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return answer(health::of(&shared.reach).await);
    };
    if shared.reach.outlets.is_leaving() {
        // A client that was just told to go elsewhere must not come back here.
        return answer(RestAnswer::refused(503, 1, "the service is stopping"));
    }
    let proposed = headers
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .and_then(|it| it.to_str().ok());
    // Mini programs cannot set the header; they say it in the query, and get no header back.
    let subprotocol = match proposed {
        Some(proposed) => Subprotocol::choose(proposed),
        None => parameters
            .get("subprotocol")
            .and_then(|name| Subprotocol::parse(name)),
    };
    let Some(subprotocol) = subprotocol else {
        return answer(RestAnswer::refused(
            400,
            400,
            "no subprotocol of this service is proposed",
        ));
    };
    let upgrade = match proposed {
        Some(_) => upgrade.protocols([subprotocol.name()]),
        None => upgrade,
    };
    let connection = ConnectionId(shared.number());
    let origin = headers.get(header::ORIGIN).map(origin_of);
    let caller = proxy::caller(&shared.trusted, &peer, &headers);
    upgrade
        .read_buffer_size(socket::READ_BUFFER_BYTES)
        .write_buffer_size(socket::WRITE_BUFFER_BYTES)
        .max_write_buffer_size(socket::WRITE_BUFFER_BYTES_MAX)
        .max_message_size(socket::MESSAGE_BYTES_MAX)
        .max_frame_size(socket::MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| {
            peer.mark.is_upgraded();
            let (reach, address) = (shared.reach.clone(), caller.address);
            socket::serve(socket, (connection, address), (subprotocol, origin), reach)
        })
}

/// Ends a client's sessions and tokens; the body may give a reason.
async fn kick(
    State(shared): State<Arc<Shared>>,
    Extension(app): Extension<Asker>,
    Path(client): Path<String>,
    body: Bytes,
) -> Response {
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let reason = body.as_ref().and_then(|it| it.get("reason")?.as_str());
    let reason: String = reason.unwrap_or_default().chars().take(20).collect();
    ask(&shared, app, RestCall::Kick { client, reason }).await
}

/// Revokes tokens: of the client that the body names, else of all; up to its time, else up to now.
async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(app): Extension<Asker>,
    body: Bytes,
) -> Response {
    let body = match body.is_empty() {
        true => Value::Object(serde_json::Map::new()),
        false => serde_json::from_slice(&body).unwrap_or_default(),
    };
    let client = body.get("client_id").map(Value::as_str);
    let until = body.get("until").map(Value::as_i64);
    // A body that says something else must not revoke the tokens of everybody.
    if !body.is_object() || client == Some(None) || until == Some(None) {
        let wanted =
            "the body is an object with client_id (a text) and until (milliseconds), or empty";
        return answer(RestAnswer::refused(400, 1, wanted));
    }
    let call = RestCall::Revoke {
        client: client.flatten().map(str::to_owned),
        until: until.flatten().map(Timestamp::from_millis),
    };
    ask(&shared, app, call).await
}

async fn notifications(
    State(shared): State<Arc<Shared>>,
    Extension(app): Extension<Asker>,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Response {
    let since = parameters
        .get("start_ts")
        .and_then(|at| at.parse().ok())
        .unwrap_or(0);
    let call = RestCall::Notifications {
        client: parameters.get("client_id").cloned().unwrap_or_default(),
        token: session_token(&headers),
        since: Timestamp::from_millis(since),
        // Only the JavaScript SDK asks for a type.
        dialect: match parameters.get("notification_type") {
            Some(_) => Dialect::Schema,
            None => Dialect::Hyphens,
        },
    };
    ask(&shared, app, call).await
}

async fn member_info(
    State(shared): State<Arc<Shared>>,
    Extension(app): Extension<Asker>,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Response {
    let conditions = parameters
        .get("where")
        .and_then(|it| serde_json::from_str::<Value>(it).ok());
    let named = conditions
        .as_ref()
        .and_then(|it| it.get("cid")?.as_str())
        .map(str::to_owned);
    let call = RestCall::MemberInfo {
        client: parameters.get("client_id").cloned().unwrap_or_default(),
        token: session_token(&headers),
        conversation: named.or_else(|| parameters.get("cid").cloned()),
    };
    ask(&shared, app, call).await
}

/// A device announces itself for push.
async fn installation(
    State(shared): State<Arc<Shared>>,
    Extension(app): Extension<Asker>,
    body: Bytes,
) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let call = InstallationCall::Announce { body };
    ask(&shared, app, RestCall::Installation(call)).await
}

async fn changed_installation(
    State(shared): State<Arc<Shared>>,
    Extension(app): Extension<Asker>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let call = InstallationCall::Change { id, body };
    ask(&shared, app, RestCall::Installation(call)).await
}

async fn known_installation(
    State(shared): State<Arc<Shared>>,
    Extension(app): Extension<Asker>,
    Path(id): Path<String>,
) -> Response {
    let call = InstallationCall::Show { id };
    ask(&shared, app, RestCall::Installation(call)).await
}

async fn nothing(uri: Uri) -> Response {
    answer(match uri.path().starts_with(LIVE_QUERIES) {
        true => RestAnswer::refused(403, FORBIDDEN, "this service has no live queries"),
        false => RestAnswer::refused(404, 1, "this service does not serve this path"),
    })
}

pub(super) fn session_token(headers: &HeaderMap) -> Option<String> {
    let token = headers.get("X-LC-IM-Session-Token")?.to_str().ok()?;
    Some(token.to_owned())
}

/// Puts a request to the core and waits for the answer.
pub(super) async fn ask(shared: &Shared, asker: Asker, call: RestCall) -> Response {
    answer(ask_core(shared, asker, call).await)
}

/// The same, with the answer as the core gave it.
pub(super) async fn ask_core(shared: &Shared, asker: Asker, call: RestCall) -> RestAnswer {
    let Some(_place) = shared.waiting_place(&asker) else {
        return RestAnswer::refused(503, 1, "too many requests at a time");
    };
    let outlets = &shared.reach.outlets;
    let ticket = Ticket(shared.number());
    let waiting = outlets.expect(ticket);
    let (app, lane) = (asker.app, Lane::Http(asker.number));
    let request = Box::new(RestRequest { app, call });
    let letter = Letter::Input {
        input: Input::Asked { ticket, request },
        lane,
        waits: None,
        came_at: Instant::now(),
    };
    let answered = match shared.reach.mailbox.send(letter).await {
        Ok(()) => waiting.await.ok(),
        Err(_) => None,
    };
    outlets.forget(ticket);
    answered.unwrap_or_else(|| RestAnswer::refused(503, 1, "the service is stopping"))
}

pub(super) fn answer(answer: RestAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::from(answer.body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::access::Who;

    /// Every operation that a request over HTTP can be for has a path, and no other has one.
    #[test]
    fn each_operation_over_http_has_a_route() {
        let mut served: Vec<Operation> = all_routes().map(|(_, it, _)| it).collect();
        served.sort_unstable();
        served.dedup();
        let over_http = |it: &&Operation| {
            let by_key = matches!(
                it.who(),
                Who::AppKey | Who::TokenHolder | Who::LinkHolder | Who::MasterKey
            );
            by_key || **it == Operation::Discover
        };
        let all: Vec<Operation> = Operation::ALL.iter().filter(over_http).copied().collect();
        assert_eq!(served, all);
    }
}

//! The routers, which tell clients the address of the service.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use sampan::wire::route::{AppRoute, Route};
use serde_json::Value;

use super::http::{Shared, answer};
use super::listener::Peer;
use super::proxy;
use crate::core::RestAnswer;

type Parameters = Query<BTreeMap<String, String>>;

/// How long a router's answer may be kept. The service does not move; SDKs assume an hour.
const ROUTE_TTL_SECS: u64 = 3600;

/// Answers the WebSocket to use.
pub(super) async fn route(
    State(shared): State<Arc<Shared>>,
    Query(parameters): Parameters,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Response {
    let is_unknown = |id: &String| shared.apps().find(id).is_none();
    if parameters.get("appId").is_some_and(is_unknown) {
        return answer(RestAnswer::refused(404, 4100, "APP_NOT_AVAILABLE"));
    }
    let clear = parameters
        .get("secure")
        .is_some_and(|secure| secure == "false" || secure == "0");
    let encrypted = proxy::caller(&shared.trusted, &peer, &headers).encrypted;
    let server = match &shared.public_url {
        Some(url) => websocket_url(url, clear),
        None => {
            let scheme = if encrypted { "wss" } else { "ws" };
            format!("{scheme}://{}/", host(&headers))
        }
    };
    let route = Route {
        server,
        secondary: None,
        ttl_secs: ROUTE_TTL_SECS,
    };
    answer_uncached(route.encode())
}

/// Answers the hosts of an app: this one, for everything.
pub(super) async fn app_route(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let host = match &shared.public_url {
        Some(url) => url
            .split_once("://")
            .map_or(url.as_str(), |(_, host)| host)
            .to_owned(),
        None => host(&headers),
    };
    let route = AppRoute {
        api_server: host.clone(),
        rtm_router_server: host,
        ttl_secs: ROUTE_TTL_SECS,
    };
    answer_uncached(route.encode())
}

/// The URL under which the client that asks reaches the service, without a slash at its end.
pub(super) fn base_url(shared: &Shared, peer: &Peer, headers: &HeaderMap) -> String {
    match &shared.public_url {
        Some(url) if url.contains("://") => url.trim_end_matches('/').to_owned(),
        Some(url) => format!("https://{}", url.trim_end_matches('/')),
        None => {
            let encrypted = proxy::caller(&shared.trusted, peer, headers).encrypted;
            let scheme = if encrypted { "https" } else { "http" };
            format!("{scheme}://{}", host(headers))
        }
    }
}

/// The URL under which clients reach the WebSocket.
fn websocket_url(url: &str, clear: bool) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let scheme = match scheme {
        "https" | "wss" if !clear => "wss",
        _ => "ws",
    };
    format!("{scheme}://{}/", rest.trim_end_matches('/'))
}

/// The host that the client asked. A text that is no host with a port is not repeated: by a cache in between,
/// the answer could send others wherever one client wants.
fn host(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let is_host = |host: &&str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        !host.is_empty() && host.len() <= 255 && host.chars().all(allowed)
    };
    host.filter(is_host).unwrap_or("localhost").to_owned()
}

/// An answer that no cache in between may keep: it depends on the host that was asked.
fn answer_uncached(body: Value) -> Response {
    let mut response = answer(RestAnswer::ok(body));
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_with_https_gives_wss_unless_the_client_wants_it_clear() {
        let url = "https://chat.example/im/";
        assert_eq!(websocket_url(url, false), "wss://chat.example/im/");
        assert_eq!(websocket_url(url, true), "ws://chat.example/im/");
    }
}

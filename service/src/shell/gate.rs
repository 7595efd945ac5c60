//! The gate of each route: the caller must show the right key, and must keep to its rate.

use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use sampan::model::AppId;
use sampan::wire::signature::KeyKind;
use tokio::time::Instant;
use tracing::debug;

use super::addresses::MINUTE;
use super::http::{Shared, answer, session_token};
use super::listener::Peer;
use super::proxy;
use crate::core::access::{Operation, Who};
use crate::core::{RestAnswer, signature};

/// The gate of a route.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) shared: Arc<Shared>,
    pub(super) path: &'static str,
    pub(super) operation: Operation,
}

impl Gate {
    /// True if the caller's address has not asked too often. Requests for the state of the service are answered
    /// at any time.
    fn is_in_time(&self, request: &axum::extract::Request) -> bool {
        let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<Peer>>() else {
            return true;
        };
        let caller = proxy::caller(&self.shared.trusted, peer, request.headers());
        let is_exempt = self.path.starts_with("/health");
        is_exempt || self.shared.addresses.admits(caller.address, Instant::now())
    }
}

/// The gate of a route: lets a request through whose caller has shown the key that the operation asks for, and
/// tells the handler the app.
pub(super) async fn admit(
    State(gate): State<Gate>,
    mut request: axum::extract::Request,
    next: Next,
) -> Response {
    let who = gate.operation.who();
    let response = match who {
        _ if !gate.is_in_time(&request) => too_often(),
        // A link is looked at where it is used.
        Who::Anyone | Who::LinkHolder => next.run(request).await,
        _ => match app_of(&gate.shared, request.headers(), who) {
            Ok((app, key)) => {
                let asker = gate.shared.asker(app, &request);
                request.extensions_mut().insert(asker);
                request.extensions_mut().insert(key);
                next.run(request).await
            }
            Err(refused) => answer(refused),
        },
    };
    let (path, status) = (gate.path, response.status().as_u16());
    gate.shared.reach.metrics.answered(path, status);
    debug!(path, status, "request answered");
    response
}

fn too_often() -> Response {
    let refused = RestAnswer::refused(429, 429, "too many requests from this address");
    let mut response = answer(refused);
    let seconds = HeaderValue::from(MINUTE.as_secs());
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// The app of a request whose caller has shown the right key, and that key.
fn app_of(shared: &Shared, headers: &HeaderMap, who: Who) -> Result<(AppId, KeyKind), RestAnswer> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let unauthorized = || RestAnswer::refused(401, 401, "Unauthorized.");
    let apps = shared.apps();
    let app = text("X-LC-Id")
        .and_then(|id| apps.find(id))
        .ok_or_else(unauthorized)?;
    let now = shared.clock.now().wall;
    let key = signature::caller(app, text("X-LC-Key"), text("X-LC-Sign"), now);
    let is_shown = match who {
        Who::Anyone | Who::LinkHolder => true,
        Who::AppKey => key.is_some(),
        Who::MasterKey => key == Some(KeyKind::Master),
        // Whose token it is and whether it is live, the core finds out.
        Who::TokenHolder => session_token(headers).is_some(),
        // These need a connection.
        Who::SignedIn | Who::Within(_) => false,
    };
    match is_shown {
        true => Ok((app.credentials.id.clone(), key.unwrap_or(KeyKind::App))),
        false => Err(unauthorized()),
    }
}

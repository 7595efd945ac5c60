//! The health of the service, for supervisors, proxies and everybody else.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::actor::Letter;
use super::http::{Shared, answer};
use super::socket::Reach;
use crate::core::RestAnswer;

/// How long the core may take to say that it works.
const HEALTH_PATIENCE: Duration = Duration::from_secs(3);

/// Answers as long as the process lives.
pub(super) async fn live() -> Response {
    answer(state(200, "live"))
}

/// Tells if clients can be served.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    answer(of(&shared.reach).await)
}

/// The health of the service, asked of the core itself. The core reads its data for the answer, and a stuck or
/// missing disk holds up the core as it would for any client.
pub(super) async fn of(reach: &Reach) -> RestAnswer {
    let (sender, sound) = oneshot::channel();
    let asked = async {
        reach.mailbox.send(Letter::Check(sender)).await.ok()?;
        sound.await.ok()
    };
    let (status, said) = match timeout(HEALTH_PATIENCE, asked).await {
        _ if reach.outlets.is_leaving() => (503, "the service is stopping"),
        Ok(Some(true)) => (200, "serving"),
        Ok(Some(false)) => (503, "the data cannot be read or written"),
        Ok(None) => (503, "the core has ended"),
        Err(_) => (503, "the core does not answer"),
    };
    state(status, said)
}

/// The service's answer about itself.
fn state(status: u16, said: &str) -> RestAnswer {
    let body = json!({
        "service": "sampan-service",
        "version": env!("CARGO_PKG_VERSION"),
        "state": said,
    });
    RestAnswer { status, body }
}

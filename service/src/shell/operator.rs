//! The pages for the service's operator, on an address of their own: the metrics and the health. Everybody who
//! reaches that address may read them; no metric names a client.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::health;
use super::http::Shared;
use super::listener::PatientListener;
use super::report::report;

/// The format of the numbers, which every Prometheus since version 2.5 reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the numbers until the service ends.
pub(super) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health::ready))
        .route("/health/ready", get(health::ready))
        .route("/health/live", get(health::live))
        .with_state(shared);
    let served = axum::serve(PatientListener::new(listener, None), router);
    let served = served.with_graceful_shutdown(async move {
        // An error means that the service is gone: that too asks to stop.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    });
    if let Err(error) = served.await {
        report(format_args!("listening for /metrics ended: {error}"));
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let headers = [(header::CONTENT_TYPE, OPEN_METRICS)];
    (StatusCode::OK, headers, shared.reach.numbers()).into_response()
}

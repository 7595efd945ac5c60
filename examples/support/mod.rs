//! Shared by the examples and the integration tests: a raw client of the protocol, and real history.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

pub(crate) mod history;
pub(crate) mod raw;
pub(crate) mod show;

/// Any failure: examples only report it.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The WebSocket's URL of a service in this process, as its router tells it.
pub(crate) async fn socket_url(
    service: &sampan_service::RunningService,
    app: &str,
) -> Outcome<String> {
    use sampan::net::{SocketTransport, Tls, Transport};
    let transport = SocketTransport::new(Tls::web()?, sampan::InsecureConnections::LoopbackOnly);
    let address = service.addr();
    let question = format!("http://{address}/v1/route?appId={app}&secure=false");
    let answer = transport
        .get(question, std::time::Duration::from_secs(5))
        .await?;
    let route = sampan::wire::route::Route::decode(std::str::from_utf8(&answer.body)?)?;
    Ok(route.server)
}

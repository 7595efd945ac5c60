//! The socket for tools of the same machine, in the data folder, where only the owner of the data can open it.
//! The socket asks for no key, because its openers could read the data anyway.

use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};
use tokio::task;

use super::actor::Letter;
use super::http::{self, Shared};
use super::listener::{Mark, Peer};
use super::report::report;
use crate::storage::{Backup, BackupError};

/// The folder for a backup.
#[derive(Debug, Deserialize, Serialize)]
pub struct BackupRequest {
    /// A folder, as the service finds it: an absolute path.
    pub to: PathBuf,
    /// An earlier backup, whose files are linked.
    pub since: Option<PathBuf>,
}

/// The socket of a data folder.
#[must_use]
pub fn socket_in(data: &Path) -> PathBuf {
    folder_in(data).join("socket")
}

/// A folder of the socket's own: its mode keeps others out before there is a socket.
fn folder_in(data: &Path) -> PathBuf {
    data.join("operator")
}

/// Listens in a data folder that this process has opened. An existing socket there belongs to no running
/// process.
pub(super) fn listen(data: &Path) -> io::Result<UnixListener> {
    let folder = folder_in(data);
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let socket = socket_in(data);
    match std::fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(socket),
    }
}

/// Serves the tools until the service ends.
pub(super) async fn serve(
    listener: UnixListener,
    data: PathBuf,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let peer = Peer {
        mark: Mark::default(),
        address: Ipv4Addr::LOCALHOST.into(),
        encrypted: false,
    };
    let tools = Router::new()
        .route("/backup", post(backup))
        .with_state((Arc::clone(&shared), data));
    // Requests of an app's own servers are answered here too, with the same keys.
    let router = http::router(shared)
        .layer(MockConnectInfo(peer))
        .merge(tools);
    let served = axum::serve(listener, router).with_graceful_shutdown(async move {
        // An error means that the service is gone: that too asks to stop.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    });
    if let Err(error) = served.await {
        report(format_args!("listening for tools ended: {error}"));
    }
}

/// Copies the data as they are now, while the service goes on.
async fn backup(
    State((shared, data)): State<(Arc<Shared>, PathBuf)>,
    axum::Json(request): axum::Json<BackupRequest>,
) -> Response {
    match back_up(&shared, data, request).await {
        Ok(backup) => {
            tracing::info!(
                rows = backup.rows,
                bytes = backup.bytes,
                "a backup was made"
            );
            axum::Json(backup).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "a backup was not made");
            let body = axum::Json(json!({ "error": error }));
            (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
        }
    }
}

async fn back_up(shared: &Shared, data: PathBuf, request: BackupRequest) -> Result<Backup, String> {
    let (sender, snapshot) = oneshot::channel();
    let ended = "the core has ended";
    let letter = Letter::Snapshot(sender);
    let sent = shared.reach.mailbox.send(letter).await;
    sent.map_err(|_| ended.to_owned())?;
    let snapshot = snapshot.await.map_err(|_| ended.to_owned())?;
    let snapshot = snapshot.map_err(|error| error.to_string())?;
    // The copy reads and writes files for as long as there are rows.
    let copy = move || snapshot.write_to(&request.to, &data, request.since.as_deref());
    let copied = task::spawn_blocking(copy).await;
    let copied = copied.map_err(|error| error.to_string())?;
    copied.map_err(|error: BackupError| error.to_string())
}

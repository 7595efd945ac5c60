//! The upload of a file's bytes, and the registration of a file whose bytes are elsewhere.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::draft::{Draft, link};
use super::{bounds, created, may_upload, refusal, uploads_to, url_of};
use crate::core::RestAnswer;
use crate::core::app::App;
use crate::files::{AppFolder, FileRecord, Ticket};
use crate::shell::addresses;
use crate::shell::asking::Asker;
use crate::shell::http::{Shared, answer};
use crate::shell::listener::Peer;
use crate::shell::routers::base_url;

/// How long an upload may take.
const UPLOAD: Duration = Duration::from_secs(3600);

/// Bytes of a description in JSON.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;

/// Takes the bytes of a file for which a link was asked.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    Path(ticket): Path<String>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match keep_by_ticket(&shared, &ticket, &peer, &headers, body).await {
        Ok(record) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::OK;
            if let Some(tag) = etag(&record).and_then(|tag| HeaderValue::try_from(tag).ok()) {
                response.headers_mut().insert(header::ETAG, tag);
            }
            response
        }
        Err(refused) => answer(refused),
    }
}

/// The tag of a file's bytes.
pub(super) fn etag(record: &FileRecord) -> Option<String> {
    record.digest.as_ref().map(|digest| format!("\"{digest}\""))
}

async fn keep_by_ticket(
    shared: &Shared,
    ticket: &str,
    peer: &Peer,
    headers: &HeaderMap,
    body: Body,
) -> Result<FileRecord, RestAnswer> {
    let apps = shared.apps();
    let of_folder = |folder| {
        apps.iter()
            .find(|it| AppFolder::of(&it.credentials.id) == folder)
    };
    let now = shared.clock.now().wall;
    let ticket = Ticket::open(ticket, now, of_folder)
        .map_err(|error| RestAnswer::refused(403, 403, &error.to_string()))?;
    let app = of_folder(ticket.app).cloned();
    let app = app.ok_or_else(|| RestAnswer::refused(401, 401, "Unauthorized."))?;
    let record = FileRecord {
        id: ticket.id,
        name: ticket.name,
        key: ticket.key,
        mime_type: ticket.mime_type,
        size: 0,
        digest: None,
        blob: None,
        url: None,
        meta: ticket.meta,
        created_at: ticket.at,
    };
    take(shared, &app, (peer, headers), record, body).await
}

/// Takes the bytes of a file, within the bounds of its app.
async fn take(
    shared: &Shared,
    app: &App,
    (peer, headers): (&Peer, &HeaderMap),
    record: FileRecord,
    body: Body,
) -> Result<FileRecord, RestAnswer> {
    may_upload(app)?;
    let address = shared.address(peer, headers);
    let folder = AppFolder::of(&app.credentials.id);
    let who = (folder, addresses::network(address));
    let rate = app.settings.files.uploads;
    if !shared.files.uploads.admits(who, rate, Instant::now()) {
        return Err(RestAnswer::refused(
            429,
            429,
            "too many uploads from this address",
        ));
    }
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > app.settings.files.file_bytes) {
        let error = crate::files::FileError::TooLarge(app.settings.files.file_bytes);
        return Err(refusal(&error));
    }
    let _place = shared.place(app, address)?;
    let _transfer = peer.mark.transfers();
    let kept = shared
        .files
        .files
        .keep(folder, record, bounds(app), body.into_data_stream());
    match timeout(UPLOAD, kept).await {
        Ok(kept) => kept.map_err(|error| refusal(&error)),
        Err(_) => Err(RestAnswer::refused(408, 408, "the upload took too long")),
    }
}

/// A file whose name is in the body: its bytes are elsewhere.
pub(super) async fn named_in_body(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Response {
    let (_, body) = request.into_parts();
    let named = match uploads_to(&shared, &asker) {
        Ok(app) => name_link(&shared, &app, None, body).await,
        Err(refused) => Err(refused),
    };
    answer(named.unwrap_or_else(|refused| refused))
}

/// A file whose name is in the path: described in JSON where its bytes are elsewhere, else the bytes themselves.
pub(super) async fn named_in_path(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let named = match uploads_to(&shared, &asker) {
        Ok(app) => {
            let kind = headers
                .get(header::CONTENT_TYPE)
                .and_then(|it| it.to_str().ok());
            let kind = kind
                .and_then(|it| it.split(';').next())
                .unwrap_or_default()
                .trim()
                .to_owned();
            match kind.as_str() {
                "application/json" => name_link(&shared, &app, Some(&name), body).await,
                _ => take_named(&shared, &app, (&peer, &headers), (&name, &kind), body).await,
            }
        }
        Err(refused) => Err(refused),
    };
    answer(named.unwrap_or_else(|refused| refused))
}

/// Keeps the record of a file whose bytes are elsewhere.
async fn name_link(
    shared: &Shared,
    app: &App,
    name: Option<&str>,
    body: Body,
) -> Result<RestAnswer, RestAnswer> {
    let body = axum::body::to_bytes(body, DESCRIPTION_BYTES_MAX).await;
    let body = body.map_err(|_| RestAnswer::refused(413, 413, "the description is too long"))?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let draft = Draft::read(shared.files.files.new_id(), &body, name)?;
    let mut record = draft.into_record(shared.clock.now().wall.as_millis());
    record.url = Some(link(&body)?);
    let folder = AppFolder::of(&app.credentials.id);
    let kept = shared
        .files
        .files
        .keep_link(folder, &record, bounds(app))
        .await;
    kept.map_err(|error| refusal(&error))?;
    Ok(created(record.to_json(&url_of("", folder, &record))))
}

/// Keeps the bytes of a file that comes without a link.
async fn take_named(
    shared: &Shared,
    app: &App,
    (peer, headers): (&Peer, &HeaderMap),
    (name, kind): (&str, &str),
    body: Body,
) -> Result<RestAnswer, RestAnswer> {
    let described = serde_json::json!({ "mime_type": kind });
    let draft = Draft::read(shared.files.files.new_id(), &described, Some(name))?;
    let record = draft.into_record(shared.clock.now().wall.as_millis());
    let record = take(shared, app, (peer, headers), record, body).await?;
    let base = base_url(shared, peer, headers);
    let url = url_of(&base, AppFolder::of(&app.credentials.id), &record);
    Ok(created(record.to_json(&url)))
}

//! The routes of files: asking for an upload, uploading, reading and deleting.
//!
//! The forms are those of the hosted service (the protocol, section 10.6) with the provider `s3`: the client
//! asks for a link, puts the bytes there in one request, and sends a message with the file's URL. Everybody who
//! has a file's URL may read the file; the URL has 96 random bits.

mod download;
mod draft;
mod kinds;
mod range;
mod upload;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post, put};
use sampan::wire::iso;
use serde_json::{Value, json};

use self::draft::{Draft, bad};
use super::addresses::{self, PerMinute};
use super::asking::{Asker, Asking, Place};
use super::http::{Shared, answer};
use super::listener::Peer;
use super::proxy;
use super::report::report;
use super::routers::base_url;
use crate::core::RestAnswer;
use crate::core::access::Operation;
use crate::core::app::App;
use crate::files::{AppFolder, Bounds, FileError, FileId, FileRecord, Files, Ticket};

type Route = (&'static str, Operation, MethodRouter<Arc<Shared>>);

/// All routes of files, each with its operation.
pub(super) fn routes() -> [Route; 8] {
    use Operation::{FetchFile, ReadFile, RemoveFile, SendFile, UploadFile};
    [
        ("/1.1/fileTokens", SendFile, post(ask)),
        ("/1.1/fileCallback", SendFile, post(ended)),
        ("/1.1/files", SendFile, post(upload::named_in_body)),
        ("/1.1/files/{file}", SendFile, post(upload::named_in_path)),
        ("/1.1/files/{file}", ReadFile, get(known)),
        ("/1.1/files/{file}", RemoveFile, delete(remove)),
        ("/1.1/uploads/{ticket}", UploadFile, put(upload::put)),
        ("/files/{app}/{file}/{key}", FetchFile, get(download::fetch)),
    ]
}

/// The files, with their transfers and the counts of uploads.
#[derive(Debug)]
pub(super) struct FileDesk {
    files: Files,
    /// The files that are on their way, by the asker that sends or reads them.
    transfers: Arc<Asking>,
    /// Uploads by app and address.
    uploads: PerMinute<(AppFolder, IpAddr)>,
}

impl FileDesk {
    pub(super) fn new(files: Files) -> Self {
        Self {
            files,
            transfers: Arc::default(),
            uploads: PerMinute::default(),
        }
    }
}

impl Shared {
    /// The app of a folder, while it is served.
    fn app_of(&self, folder: AppFolder) -> Option<App> {
        let apps = self.apps();
        let found = apps
            .iter()
            .find(|it| AppFolder::of(&it.credentials.id) == folder);
        found.cloned()
    }

    /// A place for one more transfer of the address that asks.
    fn place(&self, app: &App, address: IpAddr) -> Result<Place, RestAnswer> {
        let transfers = &self.files.transfers;
        let asker = transfers.asker(app.credentials.id.clone(), addresses::network(address));
        let place = transfers.place(asker.number);
        place.ok_or_else(|| RestAnswer::refused(503, 1, "too many files are on their way"))
    }

    /// The address that a request comes from.
    fn address(&self, peer: &Peer, headers: &HeaderMap) -> IpAddr {
        proxy::caller(&self.trusted, peer, headers).address
    }
}

/// The URL under which a file can be read.
fn url_of(base: &str, app: AppFolder, record: &FileRecord) -> String {
    match &record.url {
        Some(url) => url.clone(),
        None => format!("{base}/files/{app}/{}/{}", record.id, record.key),
    }
}

/// The limits of uploads to an app.
fn bounds(app: &App) -> Bounds {
    let files = &app.settings.files;
    Bounds {
        file: files.file_bytes,
        app: files.total_bytes,
    }
}

/// An app whose clients may upload.
fn uploads_to(shared: &Shared, asker: &Asker) -> Result<App, RestAnswer> {
    let apps = shared.apps();
    let app = apps.find(asker.app.as_str()).cloned();
    let app = app.ok_or_else(|| RestAnswer::refused(401, 401, "Unauthorized."))?;
    may_upload(&app).map(|()| app)
}

fn may_upload(app: &App) -> Result<(), RestAnswer> {
    match app.settings.files.enabled {
        true => Ok(()),
        false => Err(RestAnswer::refused(403, 403, "this app takes no files")),
    }
}

/// A refusal over HTTP.
fn refusal(error: &FileError) -> RestAnswer {
    let why = error.to_string();
    match error {
        FileError::TooLarge(_) => RestAnswer::refused(413, 413, &why),
        FileError::Full(_) => RestAnswer::refused(507, 507, &why),
        FileError::Taken => RestAnswer::refused(409, 409, &why),
        FileError::Cut => bad(&why),
        FileError::Damaged | FileError::Store(_) => {
            report(format_args!("files: {why}"));
            RestAnswer::refused(500, 1, "the file can't be kept or read now")
        }
    }
}

/// A client asks for a link by which it may upload a file.
async fn ask(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let base = base_url(&shared, &peer, &headers);
    let asked = uploads_to(&shared, &asker).and_then(|app| {
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let draft = Draft::read(shared.files.files.new_id(), &body, None)?;
        Ok(answer_of(&shared, &app, &base, draft))
    });
    answer(asked.unwrap_or_else(|refused| refused))
}

/// The answer that a client needs to upload a file.
fn answer_of(shared: &Shared, app: &App, base: &str, draft: Draft) -> RestAnswer {
    let now = shared.clock.now().wall;
    let folder = AppFolder::of(&app.credentials.id);
    let record = draft.into_record(now.as_millis());
    let url = url_of(base, folder, &record);
    let ticket = Ticket {
        app: folder,
        id: record.id,
        name: record.name,
        key: record.key,
        mime_type: record.mime_type,
        meta: record.meta,
        at: record.created_at,
    };
    let token = ticket.seal(&app.credentials.master_key);
    RestAnswer::ok(json!({
        "objectId": ticket.id.to_string(),
        "createdAt": iso::format(now),
        "provider": "s3",
        "upload_url": format!("{base}/1.1/uploads/{token}"),
        "token": token,
        "url": url,
        "key": ticket.key,
        "bucket": "sampan",
        "mime_type": ticket.mime_type,
        "name": ticket.name,
    }))
}

/// A client says how its upload ended. The file of a failed upload is taken away, if the file came after all:
/// the client will never name it.
async fn ended(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = body
        .get("token")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let now = shared.clock.now().wall;
    let apps = shared.apps();
    let own = apps.find(asker.app.as_str());
    let is_own = |folder: &AppFolder| *folder == AppFolder::of(&asker.app);
    let opened = Ticket::open(token, now, |folder| own.filter(|_| is_own(&folder)));
    let ticket = match opened {
        Ok(ticket) => ticket,
        Err(error) => return answer(bad(&error.to_string())),
    };
    if body.get("result") == Some(&Value::Bool(false))
        && let Err(error) = shared.files.files.remove(ticket.app, ticket.id).await
    {
        return answer(refusal(&error));
    }
    answer(RestAnswer::ok(json!({})))
}

fn missing() -> RestAnswer {
    RestAnswer::refused(404, 101, "there is no such file")
}

/// The record of a file.
async fn known(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path(file): Path<String>,
) -> Response {
    let folder = AppFolder::of(&asker.app);
    answer(match find(&shared, folder, &file).await {
        Ok(record) => {
            let url = url_of(&base_url(&shared, &peer, &headers), folder, &record);
            RestAnswer::ok(record.to_json(&url))
        }
        Err(refused) => refused,
    })
}

async fn find(shared: &Shared, app: AppFolder, file: &str) -> Result<FileRecord, RestAnswer> {
    let id = FileId::parse(file).map_err(|_| missing())?;
    let found = shared.files.files.record(app, id).await;
    found.map_err(|error| refusal(&error))?.ok_or_else(missing)
}

/// Takes a file away.
async fn remove(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(file): Path<String>,
) -> Response {
    let Ok(id) = FileId::parse(&file) else {
        return answer(missing());
    };
    let folder = AppFolder::of(&asker.app);
    answer(match shared.files.files.remove(folder, id).await {
        Ok(true) => RestAnswer::ok(json!({})),
        Ok(false) => missing(),
        Err(error) => refusal(&error),
    })
}

/// An answer that says that something was made.
fn created(body: Value) -> RestAnswer {
    let status = StatusCode::CREATED.as_u16();
    RestAnswer { status, body }
}

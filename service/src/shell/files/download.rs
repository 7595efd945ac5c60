//! Reading the bytes of a file, whole or in part.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{Stream, StreamExt as _};

use super::range::{Wanted, wanted};
use super::upload::etag;
use super::{find, kinds, missing, refusal};
use crate::core::RestAnswer;
use crate::files::{AppFolder, ByteStream, FileRecord};
use crate::shell::asking::Place;
use crate::shell::http::{Shared, answer};
use crate::shell::listener::{Peer, Transfer};

/// The policy under which a browser runs nothing that is in a file.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; img-src 'self'; sandbox";

/// A file never changes under its URL.
const CACHE: &str = "public, max-age=31536000, immutable";

/// Answers with the bytes of a file, or with the range that the request wants.
pub(super) async fn fetch(
    State(shared): State<Arc<Shared>>,
    Path((app, file, key)): Path<(String, String, String)>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Response {
    match open(&shared, (&app, &file, &key), &peer, &headers).await {
        Ok(response) => response,
        Err(refused) => answer(refused),
    }
}

async fn open(
    shared: &Shared,
    (app, file, key): (&str, &str, &str),
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<Response, RestAnswer> {
    let folder = AppFolder::parse(app).map_err(|_| missing())?;
    let app = shared.app_of(folder).ok_or_else(missing)?;
    let record = find(shared, folder, file).await?;
    let Some(tag) = etag(&record).filter(|_| record.key == key) else {
        return Err(missing());
    };
    let (status, range) = match wanted(headers, record.size, &tag) {
        Wanted::Nothing => {
            return Ok(dressed(
                StatusCode::NOT_MODIFIED,
                Body::empty(),
                &record,
                &tag,
            ));
        }
        Wanted::Unsatisfiable => return Ok(unsatisfiable(&record)),
        Wanted::Whole => (StatusCode::OK, 0..record.size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    let place = shared.place(&app, shared.address(peer, headers))?;
    let bytes = shared
        .files
        .files
        .read(folder, &record, range.clone())
        .await;
    let bytes = bytes
        .map_err(|error| refusal(&error))?
        .ok_or_else(missing)?;
    let body = Body::from_stream(Outgoing {
        bytes,
        _place: place,
        _transfer: peer.mark.transfers(),
    });
    let mut response = dressed(status, body, &record, &tag);
    let length = range.end.saturating_sub(range.start);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if status == StatusCode::PARTIAL_CONTENT {
        put(
            headers,
            header::CONTENT_RANGE,
            &part_of(&range, record.size),
        );
    }
    Ok(response)
}

fn part_of(range: &Range<u64>, size: u64) -> String {
    format!(
        "bytes {}-{}/{size}",
        range.start,
        range.end.saturating_sub(1)
    )
}

fn unsatisfiable(record: &FileRecord) -> Response {
    let refused = RestAnswer::refused(416, 416, "the file does not have these bytes");
    let mut response = answer(refused);
    let size = format!("bytes */{}", record.size);
    put(response.headers_mut(), header::CONTENT_RANGE, &size);
    response
}

/// An answer with the headers that every file has.
fn dressed(status: StatusCode, body: Body, record: &FileRecord, tag: &str) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let (kind, is_shown) = kinds::harmless(&record.mime_type);
    let how = if is_shown { "inline" } else { "attachment" };
    let disposition = format!("{how}; filename=\"{}\"", record.key);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, &disposition),
        (header::ETAG, tag),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, CACHE),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        put(headers, name, value);
    }
    response
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // Keys, kinds and tags are made of characters that a header may have.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// The bytes of an answer. Until they are sent, they hold a place among the transfers.
struct Outgoing {
    bytes: ByteStream,
    _place: Place,
    _transfer: Transfer,
}

impl Stream for Outgoing {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.bytes.poll_next_unpin(context)
    }
}

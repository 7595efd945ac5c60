//! Requests to the service that runs over a data folder, through the socket in that folder.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use sampan_service::storage::Backup;
use sampan_service::{BackupRequest, socket_in};
use serde_json::Value;

/// Asks for a backup; none if no service runs there.
pub(crate) fn back_up(
    data: &Path,
    to: &Path,
    since: Option<&Path>,
) -> Option<Result<Backup, String>> {
    UnixStream::connect(socket_in(data)).ok()?;
    let request = BackupRequest {
        to: to.to_owned(),
        since: since.map(Path::to_owned),
    };
    let asked = serde_json::to_value(request).map_err(|error| error.to_string());
    let answer = asked.and_then(|body| ask(data, "POST", "/backup", "", &body));
    Some(answer.and_then(|body| serde_json::from_value(body).map_err(|error| error.to_string())))
}

/// Asks the service that runs over a data folder; answers the body of its answer, or why there is none.
/// Each header has its line end.
pub(crate) fn ask(
    data: &Path,
    method: &str,
    path: &str,
    headers: &str,
    body: &Value,
) -> Result<Value, String> {
    let socket = socket_in(data);
    let stream = UnixStream::connect(&socket)
        .map_err(|error| format!("no service runs over {}: {error}", data.display()))?;
    match exchange(stream, method, path, headers, body) {
        Err(error) => Err(format!("the service did not answer: {error}")),
        Ok((200, body)) => Ok(body),
        Ok((status, body)) => Err(match body.get("error").and_then(Value::as_str) {
            Some(error) => error.to_owned(),
            None => format!("the service refused with status {status}"),
        }),
    }
}

/// Sends a request; answers the status and the body of the answer.
fn exchange(
    mut stream: UnixStream,
    method: &str,
    path: &str,
    headers: &str,
    body: &Value,
) -> io::Result<(u16, Value)> {
    let body = match body.is_null() {
        true => String::new(),
        false => body.to_string(),
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let malformed = || io::Error::other("the answer is none of HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = serde_json::from_str(body).map_err(io::Error::other)?;
    Ok((status.ok_or_else(malformed)?, body))
}

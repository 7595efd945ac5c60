//! Files over HTTP: the request for an upload, the forms of the file storages, the confirmation.
//!
//! ```text
//!   POST /1.1/fileTokens ──▶ ticket ──▶ the storage's form ──▶ POST /1.1/fileCallback
//! ```

use serde_json::{Map, Value, json};

use super::error::WireError;
use super::json::{parse_object, take_text};
use crate::model::UploadTicket;

/// Where a ticket is asked for, below the service's address.
pub const TICKET_PATH: &str = "/1.1/fileTokens";

/// Where an upload is confirmed, below the service's address.
pub const CONFIRM_PATH: &str = "/1.1/fileCallback";

/// How long a stored file may be kept by those who fetch it: it never changes.
const CACHE_CONTROL: &str = "public, max-age=31536000";

/// A file for which a ticket is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileToStore<'a> {
    /// Its name for others.
    pub name: &'a str,
    /// Its MIME type.
    pub mime: &'a str,
    /// The number of bytes that it has.
    pub bytes: u64,
    /// Its name in the storage: the same for each try of one upload.
    pub key: &'a str,
}

/// The body that asks for a ticket.
#[must_use]
pub fn ticket_request(file: &FileToStore<'_>) -> String {
    json!({
        "__type": "File",
        "name": file.name,
        "mime_type": file.mime,
        "key": file.key,
        "metaData": { "size": file.bytes },
    })
    .to_string()
}

/// Reads the ticket out of the service's answer.
///
/// # Errors
///
/// [`WireError::MalformedJson`] when it is no object, or lacks a field that an upload needs.
pub fn ticket(text: &str) -> Result<UploadTicket, WireError> {
    const PART: &str = "ticket";
    let mut map = parse_object(PART, text)?;
    let mut take = |key: &str| {
        take_text(&mut map, key)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| WireError::MalformedJson {
                part: PART,
                reason: format!("{key} is missing"),
            })
    };
    let (object_id, url) = (take("objectId")?, take("url")?);
    let (upload_url, token) = (take("upload_url")?, take("token")?);
    // The first services knew one storage and did not name it.
    let provider = take("provider").unwrap_or_else(|_| "qiniu".to_owned());
    let key = take("key").unwrap_or_default();
    Ok(UploadTicket {
        provider,
        upload_url,
        token,
        object_id,
        url,
        key,
    })
}

/// The body that says whether an upload succeeded.
#[must_use]
pub fn confirmation(token: &str, is_stored: bool) -> String {
    json!({ "token": token, "result": is_stored }).to_string()
}

/// Number and words of a refusal over HTTP, where the body has them.
#[must_use]
pub fn refusal(body: &str) -> (Option<i32>, Option<String>) {
    let mut map: Map<String, Value> = parse_object("refusal", body).unwrap_or_default();
    let code = map.get("code").and_then(Value::as_i64);
    let code = code.and_then(|code| i32::try_from(code).ok());
    (code, take_text(&mut map, "error"))
}

/// The form of an upload: the bytes of the file stand between `before` and `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadForm {
    /// True if the request is a PUT; else it is a POST.
    pub is_put: bool,
    /// Headers beside the length.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes before those of the file.
    pub before: Vec<u8>,
    /// The bytes behind those of the file.
    pub after: Vec<u8>,
}

/// The form that a ticket's storage wants; none for a storage that is not known here. `boundary` parts the
/// fields of a form, and must not occur in the file.
#[must_use]
pub fn form(ticket: &UploadTicket, mime: &str, name: &str, boundary: &str) -> Option<UploadForm> {
    match ticket.provider.as_str() {
        "s3" => Some(UploadForm {
            is_put: true,
            headers: vec![
                ("Content-Type", mime.to_owned()),
                ("Cache-Control", CACHE_CONTROL.to_owned()),
            ],
            before: Vec::new(),
            after: Vec::new(),
        }),
        "qiniu" => {
            let fields = [
                ("token", ticket.token.as_str()),
                ("key", ticket.key.as_str()),
            ];
            Some(multipart(&fields, "file", mime, name, boundary))
        }
        "qcloud" => {
            let mut form = multipart(&[("op", "upload")], "filecontent", mime, name, boundary);
            form.headers.push(("Authorization", ticket.token.clone()));
            Some(form)
        }
        _ => None,
    }
}

fn multipart(
    fields: &[(&str, &str)],
    file_field: &str,
    mime: &str,
    name: &str,
    boundary: &str,
) -> UploadForm {
    let mut before = String::new();
    for (field, value) in fields {
        before.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
        ));
    }
    let name: String = name
        .chars()
        .map(|it| {
            if it == '"' || it == '\\' || it.is_control() {
                '_'
            } else {
                it
            }
        })
        .collect();
    before.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{file_field}\"; filename=\"{name}\"\r\n\
         Content-Type: {mime}\r\n\r\n"
    ));
    UploadForm {
        is_put: false,
        headers: vec![(
            "Content-Type",
            format!("multipart/form-data; boundary={boundary}"),
        )],
        before: before.into_bytes(),
        after: format!("\r\n--{boundary}--\r\n").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"objectId":"5f2a9b1c2d3e4f5061728394","createdAt":"2026-01-01T00:00:00.000Z",
        "provider":"s3","upload_url":"https://up.example.org/x","token":"t0k","url":"https://files.example.org/x",
        "key":"x.png","bucket":"b","mime_type":"image/png"}"#;

    #[test]
    fn a_ticket_is_read_whole_or_not_at_all() {
        let read = ticket(ANSWER).unwrap();
        assert_eq!(read.object_id, "5f2a9b1c2d3e4f5061728394");
        assert_eq!((read.provider.as_str(), read.key.as_str()), ("s3", "x.png"));
        for missing in ["objectId", "upload_url", "token", "\"url\""] {
            let text = ANSWER.replacen(
                missing,
                if missing.starts_with('"') {
                    "\"ur\""
                } else {
                    "x"
                },
                1,
            );
            assert!(ticket(&text).is_err(), "{missing}");
        }
        assert!(ticket("[]").is_err() && ticket("").is_err());
        assert!(!format!("{read:?}").contains("t0k"));
    }

    #[test]
    fn each_storage_has_its_form_and_an_unknown_one_has_none() {
        let mut it = ticket(ANSWER).unwrap();
        let s3 = form(&it, "image/png", "x.png", "b0").unwrap();
        assert!(s3.is_put && s3.before.is_empty() && s3.after.is_empty());
        assert!(
            s3.headers
                .contains(&("Content-Type", "image/png".to_owned()))
        );
        it.provider = "qiniu".to_owned();
        let qiniu = form(&it, "image/png", "a\"b.png", "b0").unwrap();
        let before = String::from_utf8(qiniu.before).unwrap();
        assert!(!qiniu.is_put && before.contains("name=\"token\"\r\n\r\nt0k\r\n"));
        assert!(
            before.contains("name=\"key\"\r\n\r\nx.png\r\n")
                && before.contains("filename=\"a_b.png\"")
        );
        assert_eq!(qiniu.after, b"\r\n--b0--\r\n");
        it.provider = "qcloud".to_owned();
        let qcloud = form(&it, "image/png", "x.png", "b0").unwrap();
        assert!(
            qcloud
                .headers
                .contains(&("Authorization", "t0k".to_owned()))
        );
        assert!(
            String::from_utf8(qcloud.before)
                .unwrap()
                .contains("name=\"filecontent\"")
        );
        it.provider = "elsewhere".to_owned();
        assert_eq!(form(&it, "image/png", "x.png", "b0"), None);
    }

    #[test]
    fn a_refusal_has_number_and_words_where_the_body_has_them() {
        let said = refusal(r#"{"code":154,"error":"File is too large"}"#);
        assert_eq!(said, (Some(154), Some("File is too large".to_owned())));
        assert_eq!(refusal("<html>no</html>"), (None, None));
    }
}

//! Exports of tables, in all the forms of consoles and backups.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value, json};

use crate::core::page;

/// The bytes of a line or of a BSON document; a row has a fraction of it.
const ROW_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The reason why an export cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be read, or is cut off.
    #[error("{}: {source}. What stands before the damage was loaded", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{} is no export: {what}", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The fault.
        what: String,
    },
}

/// Called with the class and each row, or with a text that could not be understood and the reason. Breaks
/// off when no more rows are wanted.
type Each<'a> = &'a mut dyn FnMut(&str, Result<String, (String, String)>) -> ControlFlow<()>;

/// Reads an export: `.jsonl`, `.json`, `.bson`, each also as `.gz`, or a `.tar.gz` of them.
///
/// # Errors
///
/// [`ExportError`] when the file cannot be read to its end.
pub fn read_export(path: &Path, each: Each<'_>) -> Result<(), ExportError> {
    let fail = |source| ExportError::Io {
        path: path.to_owned(),
        source,
    };
    let file = BufReader::new(File::open(path).map_err(fail)?);
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut reader = unpacked(Box::new(file)).map_err(fail)?;
    let head = reader.fill_buf().map_err(fail)?;
    let is_tar = head.get(257..262) == Some(b"ustar");
    if !is_tar {
        return content(path, &name, reader, each).map(|_| ());
    }
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry
            .path()
            .map_err(fail)?
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // Files that a system adds, such as ._name, are no tables.
        if name.starts_with('.') {
            continue;
        }
        let entry = unpacked(Box::new(BufReader::new(entry))).map_err(fail)?;
        if content(path, &name, entry, each)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// A reader of the unpacked bytes, if the file is compressed. The first bytes of the buffer are enough to see
/// that.
fn unpacked<'a>(mut reader: Box<dyn BufRead + 'a>) -> std::io::Result<Box<dyn BufRead + 'a>> {
    let is_gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(match is_gzip {
        true => Box::new(BufReader::new(MultiGzDecoder::new(reader))),
        false => reader,
    })
}

/// The class that a file is named after: all before the first dot, without folders.
fn class_of(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn content(
    path: &Path,
    name: &str,
    mut reader: Box<dyn BufRead + '_>,
    each: Each<'_>,
) -> Result<ControlFlow<()>, ExportError> {
    let fail = |source| ExportError::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(what) = other_form(reader.fill_buf().map_err(fail)?) {
        return Err(ExportError::Form {
            path: path.to_owned(),
            what: what.to_owned(),
        });
    }
    if name.contains(".bson") {
        return bson_rows(path, class_of(name), reader, each);
    }
    if reader
        .fill_buf()
        .map_err(fail)?
        .starts_with(b"\xef\xbb\xbf")
    {
        reader.consume(3);
    }
    let mut class = class_of(name).to_owned();
    let (mut line, mut is_first) = (Vec::new(), true);
    loop {
        line.clear();
        let length = (&mut reader)
            .take(ROW_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .map_err(fail)?;
        if length == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        if let Some(mark) = text.strip_prefix('#') {
            class = class_in(mark).unwrap_or(class);
            continue;
        }
        if is_first && !is_row(text) {
            let mut whole = text.to_owned();
            reader.read_to_string(&mut whole).map_err(fail)?;
            return whole_rows(path, &class, &whole, each);
        }
        is_first = false;
        let row = match is_row(text) && str::from_utf8(&line).is_ok() {
            true => Ok(text.to_owned()),
            false => Err(("the line is no JSON object".to_owned(), text.to_owned())),
        };
        if each(&class, row).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// The name of a form that people take for an export, by its first bytes.
fn other_form(head: &[u8]) -> Option<&'static str> {
    let is_page = |head: &[u8]| head.trim_ascii_start().starts_with(b"<");
    match head {
        [b'P', b'K', 3, 4, ..] => Some("it is a zip file. Unpack it, and give the files in it"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Some("it is compressed with zstd. A folder of an archive is given with --archive")
        }
        _ if is_page(head) => {
            Some("it is a web page. The address of an export ends after a while: ask for it again")
        }
        _ => None,
    }
}

/// The class in a line such as `#filetype:JSON-streaming {"type":"Class","class":"_User"}`.
fn class_in(mark: &str) -> Option<String> {
    let (_, json) = mark.split_at_checked(mark.find('{')?)?;
    let mark: Value = serde_json::from_str(json).ok()?;
    Some(mark.get("class")?.as_str()?.to_owned())
}

/// True if a line is one row: a whole object that is not a list of results.
fn is_row(line: &str) -> bool {
    let object = serde_json::from_str::<Map<String, Value>>(line);
    object.is_ok_and(|object| !object.get("results").is_some_and(Value::is_array))
}

fn whole_rows(
    path: &Path,
    class: &str,
    whole: &str,
    each: Each<'_>,
) -> Result<ControlFlow<()>, ExportError> {
    let rows = page::rows(whole).map_err(|error| ExportError::Form {
        path: path.to_owned(),
        what: error.to_string(),
    })?;
    for row in rows {
        let text = row.get().to_owned();
        let row = match is_row(&text) {
            true => Ok(text),
            false => Err(("the row is no JSON object".to_owned(), text)),
        };
        if each(class, row).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn bson_rows(
    path: &Path,
    class: &str,
    mut reader: Box<dyn BufRead + '_>,
    each: Each<'_>,
) -> Result<ControlFlow<()>, ExportError> {
    let fail = |source| ExportError::Io {
        path: path.to_owned(),
        source,
    };
    let form = |what: String| ExportError::Form {
        path: path.to_owned(),
        what,
    };
    while !reader.fill_buf().map_err(fail)?.is_empty() {
        let mut length = [0; 4];
        reader.read_exact(&mut length).map_err(fail)?;
        let size = u64::from(u32::from_le_bytes(length));
        // The length is looked at before anything is allocated for it.
        if !(5..=ROW_BYTES_MAX).contains(&size) {
            return Err(form(format!("a document of {size} bytes")));
        }
        let mut bytes = length.to_vec();
        (&mut reader)
            .take(size - 4)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
        let document = bson::Document::from_reader(bytes.as_slice());
        let document = document.map_err(|error| form(format!("a document is damaged: {error}")))?;
        let row = plain(bson::Bson::Document(document).into_relaxed_extjson(), "");
        if each(class, Ok(row.to_string())).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A value of a backup, as exports write it: ids as text, dates as typed objects or, where tables
/// have plain ones, as text.
fn plain(value: Value, name: &str) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| plain(item, "")).collect(),
        Value::Object(fields) => {
            if let Some(id) = fields.get("$oid") {
                return id.clone();
            }
            if let Some(date) = fields.get("$date") {
                let iso = iso(date);
                let is_plain = matches!(name, "createdAt" | "updatedAt");
                return if is_plain {
                    iso
                } else {
                    json!({ "__type": "Date", "iso": iso })
                };
            }
            let fields = fields.into_iter().map(|(name, value)| {
                let value = plain(value, &name);
                (
                    if name == "_id" {
                        "objectId".to_owned()
                    } else {
                        name
                    },
                    value,
                )
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

/// The date of a backup, as ISO text with milliseconds.
fn iso(date: &Value) -> Value {
    use sampan::model::Timestamp;
    let millis = match date {
        Value::String(text) => match bson::DateTime::parse_rfc3339_str(text) {
            Ok(time) => Some(time.timestamp_millis()),
            Err(_) => None,
        },
        Value::Object(long) => long
            .get("$numberLong")
            .and_then(|it| it.as_str()?.parse().ok()),
        other => other.as_i64(),
    };
    millis.map_or_else(
        || date.clone(),
        |at| sampan::wire::iso::format(Timestamp::from_millis(at)).into(),
    )
}

//! The files that messages point at: fetched once, kept under their hash, listed in `attachments/index.jsonl`.
//! A file that is gone is recorded and not asked for again; a file that failed for another reason is tried
//! again by the next run.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::error::CrawlError;
use super::progress::Progress;
use super::source::Source;
use crate::archive::{Archive, ArchiveError, Digest, Readings, table_rows};
use crate::clock::wall_millis;
use crate::http::HttpError;

/// Redirections that are followed for one file.
const REDIRECTS_MAX: usize = 5;

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The address of the file.
    pub url: String,
    /// Its length and hash; none when there is no file to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Digest>,
    /// The reason why there is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The time at which it was fetched, in milliseconds since 1970.
    pub at: i64,
}

/// The counts of attachments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchedFiles {
    /// Files that are in the archive now.
    pub kept: u64,
    /// Files that do not exist any more, or are too large.
    pub gone: u64,
    /// Files that the next run tries again.
    pub failed: u64,
}

/// Fetches the files that are not in the index yet.
pub(super) async fn fetch(
    archive: &Archive,
    source: &Source,
    progress: &Progress,
    bytes_max: u64,
) -> Result<FetchedFiles, CrawlError> {
    let folder = archive.root().join("attachments");
    fs::create_dir_all(&folder).map_err(ArchiveError::io(&folder))?;
    let known: BTreeSet<String> = index_lines(archive.root())?
        .into_iter()
        .map(|line| line.url)
        .collect();
    let index = Mutex::new(open_index(&folder)?);
    let mut fetched = FetchedFiles::default();
    let wanted: Vec<String> = urls(archive)?
        .into_iter()
        .filter(|url| !known.contains(url))
        .collect();
    for (number, url) in wanted.iter().enumerate() {
        if source.is_stopping() {
            break;
        }
        progress.step(&format!("attachment {} of {}", number + 1, wanted.len()));
        match fetch_one(source, &folder, url, bytes_max).await? {
            Some(line) => {
                let count = if line.file.is_some() {
                    &mut fetched.kept
                } else {
                    &mut fetched.gone
                };
                *count += 1;
                append(&index, &folder, &line)?;
            }
            None => fetched.failed += 1,
        }
    }
    Ok(fetched)
}

/// Fetches one file. None when a later run may get the file.
async fn fetch_one(
    source: &Source,
    folder: &Path,
    url: &str,
    bytes_max: u64,
) -> Result<Option<Attachment>, CrawlError> {
    let line = |file, problem: Option<String>| {
        Ok(Some(Attachment {
            url: url.to_owned(),
            file,
            problem,
            at: wall_millis(),
        }))
    };
    let mut at = url.to_owned();
    for _ in 0..=REDIRECTS_MAX {
        let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let answer = match source.server().fetch(&at, limit).await {
            Ok(answer) => answer,
            Err(error @ (HttpError::TooLarge(_) | HttpError::Address(_))) => {
                return line(None, Some(error.to_string()));
            }
            Err(_) => return Ok(None),
        };
        match (answer.status, answer.location) {
            (200, _) => {
                let file = Digest::of(&answer.body);
                keep(folder, &file, &answer.body)?;
                return line(Some(file), None);
            }
            (300..=399, Some(there)) if there.contains("://") => at = there,
            (403 | 404 | 410, _) => return line(None, Some(format!("HTTP {}", answer.status))),
            _ => return Ok(None),
        }
    }
    line(None, Some("too many redirections".to_owned()))
}

/// Writes a file under its hash: beside its place first, made durable, then moved into its place.
fn keep(folder: &Path, file: &Digest, bytes: &[u8]) -> Result<(), ArchiveError> {
    let path = path_of(folder, file);
    let part = path.with_extension("part");
    if path.exists() {
        return Ok(());
    }
    let shelf = path.parent().unwrap_or(folder);
    let written = fs::create_dir_all(shelf).and_then(|()| {
        let mut target = File::create(&part)?;
        target.write_all(bytes)?;
        target.sync_all()?;
        fs::rename(&part, &path)
    });
    written.map_err(ArchiveError::io(&path))
}

/// Opens the index to append to it; a line that a kill cut off goes.
fn open_index(folder: &Path) -> Result<File, ArchiveError> {
    let path = folder.join("index.jsonl");
    let text = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(ArchiveError::io(&path))?,
    };
    let whole = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(ArchiveError::io(&path))?;
    file.set_len(whole as u64)
        .map_err(ArchiveError::io(&path))?;
    Ok(file)
}

fn append(index: &Mutex<File>, folder: &Path, line: &Attachment) -> Result<(), ArchiveError> {
    let path = folder.join("index.jsonl");
    let mut text = serde_json::to_vec(line)
        .map_err(std::io::Error::other)
        .map_err(ArchiveError::io(&path))?;
    text.push(b'\n');
    let mut file = index
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    file.write_all(&text)
        .and_then(|()| file.sync_data())
        .map_err(ArchiveError::io(&path))
}

/// The complete lines of the index.
///
/// # Errors
///
/// [`ArchiveError::Io`] when the index cannot be read.
pub fn index_lines(archive: &Path) -> Result<Vec<Attachment>, ArchiveError> {
    let path = archive.join("attachments/index.jsonl");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(ArchiveError::io(&path)(error)),
    }
}

/// The path of a file by its hash.
fn path_of(folder: &Path, file: &Digest) -> PathBuf {
    let (shelf, _) = file.sha256.split_at_checked(2).unwrap_or_default();
    folder.join(shelf).join(&file.sha256)
}

/// The attachments whose file is missing, or differs from the index, and the number of files that were read.
///
/// # Errors
///
/// [`ArchiveError::Io`] when the index or a file cannot be read.
pub fn damaged_attachments(archive: &Path) -> Result<(Vec<Attachment>, u64), ArchiveError> {
    let folder = archive.join("attachments");
    let (mut damaged, mut read) = (Vec::new(), 0);
    for line in index_lines(archive)? {
        let Some(file) = &line.file else { continue };
        let path = path_of(&folder, file);
        read += 1;
        let is_whole = match fs::read(&path) {
            Ok(bytes) => Digest::of(&bytes) == *file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(ArchiveError::io(&path)(error)),
        };
        if !is_whole {
            damaged.push(line);
        }
    }
    Ok((damaged, read))
}

/// Sets the files of attachments aside and takes them out of the index, so that the next crawl asks for them.
///
/// # Errors
///
/// [`ArchiveError`] when a file cannot be moved or the index not be written.
pub fn forget_attachments(archive: &Path, damaged: &[Attachment]) -> Result<(), ArchiveError> {
    let (folder, aside) = (archive.join("attachments"), archive.join("damaged"));
    fs::create_dir_all(&aside).map_err(ArchiveError::io(&aside))?;
    let mut text = Vec::new();
    for line in index_lines(archive)? {
        if !damaged.contains(&line) {
            serde_json::to_writer(&mut text, &line)
                .map_err(std::io::Error::from)
                .map_err(ArchiveError::io(&folder))?;
            text.push(b'\n');
        }
    }
    for file in damaged.iter().filter_map(|line| line.file.as_ref()) {
        let path = path_of(&folder, file);
        match fs::rename(&path, aside.join(&file.sha256)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ArchiveError::io(&path)(error));
            }
            _ => {}
        }
    }
    let (index, part) = (folder.join("index.jsonl"), folder.join("index.part"));
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&part, &index)
    });
    written.map_err(ArchiveError::io(&index))
}

/// The addresses of all files that messages and the table of files name.
fn urls(archive: &Archive) -> Result<BTreeSet<String>, ArchiveError> {
    let mut urls = BTreeSet::new();
    let mut readings = Readings::new(archive.root(), archive.manifest(), |_| true);
    while let Some(group) = readings.next_group()? {
        let rows = group.into_iter().filter_map(|reading| reading.row.ok());
        urls.extend(rows.filter_map(|row| attached(row.data.as_deref()?)));
    }
    table_rows(archive.root(), archive.manifest(), "_File", |row, _| {
        urls.extend(
            serde_json::from_str::<Link>(row)
                .ok()
                .and_then(|link| link.url),
        );
    })?;
    urls.retain(|url| url.starts_with("http://") || url.starts_with("https://"));
    Ok(urls)
}

#[derive(Deserialize)]
struct Link {
    url: Option<String>,
    #[serde(rename = "objId")]
    object_id: Option<serde_json::Value>,
}

/// The file of a message, if it lies with the service: a link to elsewhere has no object id.
fn attached(data: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "_lcfile")]
        file: Link,
    }
    if !data.contains("_lcfile") {
        return None;
    }
    let link = serde_json::from_str::<Envelope>(data).ok()?.file;
    link.object_id.and(link.url)
}

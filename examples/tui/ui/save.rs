//! A file of a message on its way to where the user finds it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sampan::model::{Count, MediaFile};
use sampan::views::{DownloadFailure, DownloadPhase};
use sampan::{Client, Download, DownloadState, SampanError, Version};

/// The most names that are tried.
const NAMES_MAX: u32 = 1000;

/// A download whose file the user wants.
pub(super) struct Saving {
    download: Arc<Download>,
    name: String,
    folder: PathBuf,
    held: Version,
}

/// How far it is.
pub(super) enum Saved {
    /// It goes on.
    Running(String),
    /// It is there, or it never will be.
    Ended(String),
}

impl Saving {
    pub(super) fn begin(
        client: &Client,
        file: MediaFile,
        folder: &Path,
    ) -> Result<Self, SampanError> {
        let name = file.name.clone().unwrap_or_default();
        Ok(Self {
            download: client.download(file)?,
            name: harmless(&name),
            folder: folder.to_owned(),
            held: Version::NONE,
        })
    }

    pub(super) async fn next(&self) -> Result<Option<DownloadState>, SampanError> {
        self.download.next(self.held).await
    }

    pub(super) fn take(&mut self, state: DownloadState) -> Saved {
        self.held = state.version;
        let name = &self.name;
        match state.phase {
            DownloadPhase::Waiting => Saved::Running(format!("{name}: waiting")),
            DownloadPhase::Running { progress } => {
                let Count(done) = progress.done;
                Saved::Running(match progress.total {
                    Some(Count(total)) if total > 0 => {
                        format!("{name}: {} %", done.saturating_mul(100) / total)
                    }
                    _ => format!("{name}: {done} bytes"),
                })
            }
            DownloadPhase::Done { path } => Saved::Ended(match copy(&path, &self.folder, name) {
                Ok(to) => format!("saved as {}", to.display()),
                Err(error) => format!("{name} can't be saved: {error}"),
            }),
            DownloadPhase::Failed { failure } => {
                Saved::Ended(format!("{name} was not downloaded: {}", reason(failure)))
            }
            DownloadPhase::Cancelled => Saved::Ended(format!("{name} was not downloaded")),
        }
    }
}

fn reason(failure: DownloadFailure) -> String {
    match failure {
        DownloadFailure::Unreachable { .. } => "its host is not reached".to_owned(),
        DownloadFailure::Absent => "it is gone".to_owned(),
        DownloadFailure::Refused { status } => format!("its host answers {status}"),
        DownloadFailure::TooLarge { .. } => "it is too large".to_owned(),
        DownloadFailure::AnotherFile { reason }
        | DownloadFailure::Address { reason }
        | DownloadFailure::Disk { reason } => reason,
        _ => "it failed".to_owned(),
    }
}

/// The name that a sender gave, as a name in a folder: another device may call a file `../x`.
fn harmless(name: &str) -> String {
    let is_kept = |letter: &char| letter.is_alphanumeric() || " -_.()".contains(*letter);
    let kept: String = name.chars().filter(is_kept).take(100).collect();
    let kept = kept.trim_matches([' ', '.']);
    if kept.is_empty() {
        return "file".to_owned();
    }
    kept.to_owned()
}

/// Copies a file into a folder under a name that nothing has.
fn copy(from: &Path, folder: &Path, name: &str) -> io::Result<PathBuf> {
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) => (stem, format!(".{ending}")),
        None => (name, String::new()),
    };
    for number in 0..NAMES_MAX {
        let path = folder.join(match number {
            0 => format!("{stem}{ending}"),
            number => format!("{stem} ({number}){ending}"),
        });
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                io::copy(&mut File::open(from)?, &mut file)?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_name_leads_nowhere() {
        for (name, kept) in [
            ("boat.png", "boat.png"),
            ("../../.ssh/keys", "sshkeys"),
            ("C:\\x|y.png", "Cxy.png"),
            ("...", "file"),
            ("", "file"),
        ] {
            assert_eq!(harmless(name), kept, "{name}");
        }
    }
}

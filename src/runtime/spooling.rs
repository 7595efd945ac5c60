//! A file of the app on its way into the spool: read once, described, copied.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use md5::{Digest, Md5};

use super::blocking::blocking;
use super::store_handle::NotOpen;
use super::{ClientCore, Runtime, clock};
use crate::SampanError;
use crate::media::{self, Probed, Traits};
use crate::model::{
    CommitSeq, ConversationId, Count, Json, MediaFile, MediaKind, MediaSource, MessageContent,
    NewMedia, NewMessage,
};
use crate::store::{Spool, Store, StoreError, Upload, UploadStage};
use crate::sync::{Enqueued, SendMedia, SendMessage};
use crate::threads::Threads;

/// How a copy in the spool is named in a message until its file is uploaded.
pub(crate) const SPOOL_SCHEME: &str = "sampan-spool:";

/// The name of a file of which no name is known.
const NAMELESS: &str = "file";

/// How much of a file is copied at a time.
const PIECE_BYTES: usize = 64 * 1024;

impl Runtime {
    /// Sends a file: copies it into the spool, then enqueues its message.
    ///
    /// # Errors
    ///
    /// [`SampanError::InvalidArgument`] for a source that can't be read; [`SampanError::TooLarge`];
    /// [`SampanError::StoreUnavailable`]; those of enqueueing.
    pub(crate) async fn send_media(
        &self,
        core: &ClientCore,
        conversation: ConversationId,
        media: NewMedia,
    ) -> Result<(Enqueued, CommitSeq), SampanError> {
        if media
            .mime
            .as_deref()
            .is_some_and(|mime| !media::is_mime(mime))
        {
            return Err(invalid("mime: no MIME type"));
        }
        if let MediaSource::Url { url } = &media.source {
            let (url, name) = (url.clone(), name_of(&media));
            let stated = Traits {
                width: media.width,
                height: media.height,
                duration: media.duration,
                ..Traits::default()
            };
            let message = message_of(media, &name, url, None, &stated);
            let call = SendMessage {
                conversation,
                message,
            };
            return self.mailbox.write(&core.id, call).await;
        }
        if super::uploads::api_base(&self.config).is_none() {
            return Err(invalid(
                "api_url: files need the address of the REST interface",
            ));
        }
        let file = clock::randomness().local_id().as_str().to_owned();
        // Until the message names the copy, only this guard keeps a sweep from removing it.
        let adding = core.spool.begin(&file);
        let mut copying = Copying {
            threads: self.media.clone(),
            spool: core.spool.clone(),
            file: file.clone(),
            given_up: Arc::default(),
            is_kept: false,
        };
        let given_up = Arc::clone(&copying.given_up);
        let call = self
            .spool(core, conversation, media, file, given_up)
            .await?;
        // From here on the message is sent, though the caller may leave: its entry may be written already.
        let (mailbox, client) = (self.mailbox.clone(), core.id.clone());
        copying.is_kept = true;
        let sending = self.tasks.spawn(async move {
            let sent = mailbox.write(&client, call).await;
            copying.is_kept = sent.is_ok() || sent.as_ref().is_err_and(leaves_open);
            drop(copying);
            drop(adding);
            sent
        });
        let sent = self.callers.outside(sending).await;
        sent.unwrap_or(Err(SampanError::ShutDown))
    }

    /// Copies the source into the spool. A store that is shut is opened for it.
    pub(super) async fn spool(
        &self,
        core: &ClientCore,
        conversation: ConversationId,
        media: NewMedia,
        file: String,
        given_up: Arc<AtomicBool>,
    ) -> Result<SendMedia, SampanError> {
        let access = loop {
            match core.store.read() {
                Ok(access) => break access,
                Err(NotOpen::Closed) => return Err(self.board.ended()),
                Err(NotOpen::Shut) => self.mailbox.wake(&core.id).await?,
            }
        };
        let spool = core.spool.clone();
        let bytes_max = self.config.upload_max;
        let work = move || {
            let copied = copy(access.store(), &spool, &file, &media, bytes_max, &given_up);
            if given_up.load(Ordering::SeqCst) {
                // The caller left, perhaps after the last piece. A file that stays is swept at the next opening.
                let _ = spool.remove(&file);
            }
            let (bytes, traits) = copied?;
            let name = name_of(&media);
            let upload = Upload {
                file: file.clone(),
                name: name.clone(),
                mime: traits.mime.clone(),
                bytes,
                stage: UploadStage::Waiting,
            };
            let url = format!("{SPOOL_SCHEME}{file}");
            let message = message_of(media, &name, url, Some(bytes), &traits);
            Ok(SendMedia {
                conversation,
                message,
                upload: Box::new(upload),
            })
        };
        self.callers.outside(blocking(&self.media, work)).await
    }
}

/// A copy in the spool that no message names yet. Dropped before it is kept, it is removed.
struct Copying {
    threads: Threads,
    spool: Spool,
    file: String,
    /// True if the caller has left: the copying ends.
    given_up: Arc<AtomicBool>,
    is_kept: bool,
}

impl Drop for Copying {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        self.given_up.store(true, Ordering::SeqCst);
        let (spool, file) = (self.spool.clone(), std::mem::take(&mut self.file));
        // A file that stays is swept when the store is opened next.
        let _ = self.threads.run(Box::new(move || {
            let _ = spool.remove(&file);
        }));
    }
}

/// True if the message may be enqueued all the same: the engine ended before it could tell.
const fn leaves_open(error: &SampanError) -> bool {
    matches!(
        error,
        SampanError::ShutDown | SampanError::SignedOut | SampanError::Internal { .. }
    )
}

/// Copies a file into the spool; gives its length and its traits.
fn copy(
    store: &Store,
    spool: &Spool,
    file: &str,
    media: &NewMedia,
    bytes_max: u64,
    given_up: &AtomicBool,
) -> Result<(u64, Traits), SampanError> {
    let mut source: Box<dyn Source> = match &media.source {
        MediaSource::Bytes { data } => Box::new(Cursor::new(data)),
        MediaSource::Path { path } => Box::new(open(path, bytes_max)?),
        MediaSource::Url { .. } => return Err(invalid("source: there is nothing to copy")),
    };
    let key = store.file_key()?;
    let probed = media::probe(&mut source);
    let position = match media.keeps_position {
        true => Vec::new(),
        false => media::erasures(&mut source).map_err(|error| unreadable(&error))?,
    };
    let mut unread = None;
    let mut sum = Md5::new();
    let added = spool.add(file, key.as_ref(), |copy| {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            if given_up.load(Ordering::SeqCst) {
                return Err(io::Error::other("the caller has left"));
            }
            let length = match source.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) => {
                    unread = Some(unreadable(&error));
                    return Err(error);
                }
            };
            let piece = piece.get_mut(..length).unwrap_or_default();
            media::erase(&position, copy.bytes(), piece);
            sum.update(&*piece);
            copy.write(piece)?;
            if copy.bytes() > bytes_max {
                unread = Some(too_large(bytes_max, copy.bytes()));
                return Err(io::Error::other("too large"));
            }
        }
    });
    match (added, unread) {
        (_, Some(error)) => Err(error),
        (Err(error), None) => Err(StoreError::io("copying a file to send", &error).into()),
        (Ok(0), None) => {
            // An empty file has no entry that names it.
            let _ = spool.remove(file);
            Err(invalid("source: it is empty"))
        }
        (Ok(bytes), None) => {
            let sum = sum.finalize();
            let sum = sum.iter().map(|byte| format!("{byte:02x}"));
            Ok((bytes, traits_of(media, &probed, sum.collect())))
        }
    }
}

/// The traits of a file: from the app first, then from the bytes, then from the name.
fn traits_of(media: &NewMedia, probed: &Probed, checksum: String) -> Traits {
    let name = name_of(media);
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    let (mime, usual) = probed.format.unzip();
    let mime = media.mime.as_deref().or(mime);
    let (width, height) = probed.size.unzip();
    Traits {
        mime: mime.unwrap_or_else(|| media::mime_of(&name)).to_owned(),
        format: ending.or_else(|| usual.map(str::to_owned)),
        width: media.width.or(width),
        height: media.height.or(height),
        duration: media.duration.or(probed.duration),
        checksum: Some(checksum),
    }
}

fn unreadable(error: &io::Error) -> SampanError {
    invalid(format!("source: it can't be read: {error}"))
}

/// A source that can be read from any place on.
trait Source: Read + Seek {}

impl<S: Read + Seek> Source for S {}

fn open(path: &Path, bytes_max: u64) -> Result<File, SampanError> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let found = file.metadata().map_err(|error| unreadable(&error))?;
    if !found.is_file() {
        return Err(invalid("source: it is no file"));
    }
    if found.len() > bytes_max {
        return Err(too_large(bytes_max, found.len()));
    }
    Ok(file)
}

/// The name of a file for others.
fn name_of(media: &NewMedia) -> String {
    let own = match &media.source {
        MediaSource::Bytes { .. } => None,
        MediaSource::Path { path } => path.file_name().map(|it| it.to_string_lossy().into_owned()),
        MediaSource::Url { url } => {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            let last = path.split_once("://").map_or(path, |(_, path)| path);
            let last = last.rsplit_once('/').map(|(_, last)| last.to_owned());
            last.filter(|last| !last.is_empty())
        }
    };
    let name = media.name.clone().or(own);
    name.unwrap_or_else(|| NAMELESS.to_owned())
}

/// The message that carries a file.
fn message_of(
    media: NewMedia,
    name: &str,
    url: String,
    bytes: Option<u64>,
    traits: &Traits,
) -> NewMessage {
    let mime = match &media.mime {
        Some(mime) => mime.as_str(),
        None if traits.mime.is_empty() => media::mime_of(name),
        None => &traits.mime,
    };
    let kind = media.kind.unwrap_or_else(|| media::kind_of(mime));
    let file = MediaFile {
        object_id: None,
        url,
        name: Some(name.to_owned()),
        format: traits.format.clone(),
        size: bytes,
        width: traits.width,
        height: traits.height,
        duration: traits.duration,
        mime: Some(mime.to_owned()),
        extra: traits
            .checksum
            .as_ref()
            .map(|sum| Json::from_value(&serde_json::json!({ "metaData": { "_checksum": sum } }))),
    };
    let (caption, details) = (media.caption, media.details);
    let content = match kind {
        MediaKind::Image => MessageContent::Image {
            file,
            caption,
            details,
        },
        MediaKind::Audio => MessageContent::Audio {
            file,
            caption,
            details,
        },
        MediaKind::Video => MessageContent::Video {
            file,
            caption,
            details,
        },
        MediaKind::File => MessageContent::File {
            file,
            caption,
            details,
        },
    };
    NewMessage {
        mentions: media.mentions,
        push: media.push,
        options: media.options,
        ..NewMessage::new(content)
    }
}

fn invalid(reason: impl Into<String>) -> SampanError {
    let reason = reason.into();
    SampanError::InvalidArgument { reason }
}

fn too_large(limit: u64, actual: u64) -> SampanError {
    SampanError::TooLarge {
        limit: Count(limit),
        actual: Count(actual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_the_last_part_of_where_it_is() {
        let named = |source| name_of(&NewMedia::new(source));
        let path = |path: &str| named(MediaSource::Path { path: path.into() });
        let url = |url: &str| named(MediaSource::Url { url: url.into() });
        assert_eq!(path("/photos/cat.png"), "cat.png");
        assert_eq!(path("/"), NAMELESS);
        assert_eq!(url("https://example.org/a/cat.png?size=2#x"), "cat.png");
        assert_eq!(url("https://example.org"), NAMELESS);
        assert_eq!(url("https://example.org/"), NAMELESS);
        assert_eq!(named(MediaSource::Bytes { data: vec![1] }), NAMELESS);
    }
}

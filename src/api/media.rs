//! Files that are sent.

use crate::SampanError;
use crate::model::NewMedia;

use super::conversation::{Conversation, SentMessage};

#[uniffi::export]
impl Conversation {
    /// Sends a file. Returns when a copy of the file and the message are durable on this device, online or not;
    /// the original may change or go then. The file is uploaded first, in the background and over restarts, and
    /// the message is sent when the file is where others find it. Messages that are sent meanwhile do not wait.
    /// How far it is shows in the timeline and in the outbox (`Delivery.sending`, at most four times a second). A
    /// file at a URL is not uploaded: its message is sent like any other.
    ///
    /// Until the file is uploaded the URL in the message's content begins with `sampan-spool:`. `discard` stops
    /// the upload and removes the copy. If it fails for good, `SendFailure.notUploaded` says why, and `retry`
    /// goes on with the same copy.
    ///
    /// At most two files of a client are uploaded at once. A file has at most `Config.upload_max` bytes.
    ///
    /// # Errors
    ///
    /// Those of `send`; `InvalidArgument` when the source can't be read or is empty, no address for uploads is
    /// configured (`Config.api_url`), or the options ask for a transient message or a will; `TooLarge`;
    /// `StoreUnavailable` when the disk has no room for the copy.
    pub async fn send_media(&self, media: NewMedia) -> Result<SentMessage, SampanError> {
        let sent = self.runtime.send_media(&self.core, self.name(), media);
        self.shown(sent.await?).await
    }
}

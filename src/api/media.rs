//! [`Conversation::send_media`]: sends files.

use crate::SampanError;
use crate::model::NewMedia;

use super::conversation::{Conversation, SentMessage};

#[uniffi::export]
impl Conversation {
    /// Sends a file. Returns when a copy of the file and the message are durable on this device, online or not;
    /// then the original may change or be removed. The engine uploads the file in the background and across
    /// restarts, and sends the message after the upload. Other messages do not wait for the upload. The timeline
    /// and the outbox show the progress (`Delivery.sending`, at most four times a second). A file at a URL is not
    /// uploaded: its message is sent like any other.
    ///
    /// Until the file is uploaded, the URL in the message's content begins with `sampan-spool:`. `discard` stops
    /// the upload and removes the copy. If the upload fails for good, `SendFailure.notUploaded` gives the reason,
    /// and `retry` continues with the same copy.
    ///
    /// A client uploads at most two files at once. A file has at most `Config.upload_max` bytes.
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

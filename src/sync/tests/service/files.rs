//! The file storage: tickets, and what was stored under them.

use std::collections::VecDeque;

use crate::model::UploadTicket;
use crate::store::{Upload, UploadStage};
use crate::sync::{UploadError, Uploaded};

/// The files of the service.
#[derive(Debug, Default)]
pub(in crate::sync::tests) struct Files {
    pub(in crate::sync::tests) files: Vec<StoredFile>,
    /// The errors that the next steps come to instead.
    pub(in crate::sync::tests) troubles: VecDeque<UploadError>,
    /// True if the storage takes no ticket.
    pub(in crate::sync::tests) refuses_tickets: bool,
    /// How long the addresses of files are at least.
    pub(in crate::sync::tests) url_bytes: usize,
}

/// A file, from its ticket on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sync::tests) struct StoredFile {
    pub(in crate::sync::tests) is_stored: bool,
    pub(in crate::sync::tests) is_confirmed: bool,
}

impl Files {
    /// Files of which the bytes arrived.
    pub(in crate::sync::tests) fn stored(&self) -> usize {
        self.files.iter().filter(|file| file.is_stored).count()
    }

    /// True if the service knows that the bytes behind a URL are there.
    pub(in crate::sync::tests) fn is_confirmed(&self, url: &str) -> bool {
        let index = url
            .rsplit('/')
            .next()
            .and_then(|it| it.parse::<usize>().ok());
        let file = index.and_then(|index| self.files.get(index));
        file.is_some_and(|file| file.is_stored && file.is_confirmed)
    }

    pub(in crate::sync::tests) fn step(
        &mut self,
        upload: &Upload,
    ) -> Result<Uploaded, UploadError> {
        if let Some(trouble) = self.troubles.pop_front() {
            return Err(trouble);
        }
        match &upload.stage {
            UploadStage::Waiting => {
                let index = self.files.len();
                let width = self.url_bytes.saturating_sub("https://files/".len());
                self.files.push(StoredFile::default());
                Ok(Uploaded::Ticket(UploadTicket {
                    provider: "s3".to_owned(),
                    upload_url: format!("https://up/{index}"),
                    token: index.to_string(),
                    object_id: format!("{index:024x}"),
                    url: format!("https://files/{index:0>width$}"),
                    key: String::new(),
                }))
            }
            UploadStage::Ticketed(_) if self.refuses_tickets => Err(UploadError::TicketRefused {
                status: 403,
                reason: "no such policy".to_owned(),
            }),
            UploadStage::Ticketed(ticket) => {
                self.file(ticket).is_stored = true;
                Ok(Uploaded::Stored)
            }
            UploadStage::Stored(ticket) => {
                let file = self.file(ticket);
                assert!(file.is_stored, "confirmed before the bytes are there");
                file.is_confirmed = true;
                Ok(Uploaded::Confirmed)
            }
        }
    }

    fn file(&mut self, ticket: &UploadTicket) -> &mut StoredFile {
        let index: usize = ticket.token.parse().unwrap();
        &mut self.files[index]
    }
}

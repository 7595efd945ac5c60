//! The storage of files: tickets, the bytes that came under them, and its troubles.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::model::UploadTicket;
use sampan::store::{Upload, UploadStage};
use sampan::sync::{UploadError, Uploaded};

use crate::dice::Dice;
use crate::faults::kinds::StorageTrouble;
use crate::faults::planted::Mutation;

/// One upload in so many asks for a second ticket, with the planted fault.
const SECOND_TICKET_EVERY: u64 = 3;

/// A file, from its ticket on.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredFile {
    /// The name of the copy that the ticket is for: no other file has it.
    pub(crate) copy: String,
    pub(crate) is_stored: bool,
    pub(crate) is_confirmed: bool,
    /// True if the ticket was refused: the device begins again, though bytes may be there or on their way.
    pub(crate) is_disowned: bool,
}

/// The storage of files.
pub(crate) struct Files {
    by_token: BTreeMap<u64, StoredFile>,
    /// The trouble of the storage, and the time until which it lasts.
    pub(crate) trouble: Option<(StorageTrouble, Duration)>,
    /// The chance of everything that happens to files.
    pub(crate) dice: Dice,
    mutation: Option<Mutation>,
    transfers: u64,
}

impl Files {
    pub(crate) fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        Self {
            by_token: BTreeMap::new(),
            trouble: None,
            dice: Dice::stream(seed, "storage"),
            mutation,
            transfers: 0,
        }
    }

    /// The trouble of the storage now.
    pub(crate) fn trouble(&self, now: Duration) -> Option<StorageTrouble> {
        let (trouble, until) = self.trouble?;
        (until > now).then_some(trouble)
    }

    /// The file behind a URL.
    pub(crate) fn at(&self, url: &str) -> Option<&StoredFile> {
        let token = url.rsplit('/').next()?.parse().ok()?;
        self.by_token.get(&token)
    }

    /// The files that came from a copy.
    pub(crate) fn of_copy<'a>(&'a self, copy: &'a str) -> impl Iterator<Item = &'a StoredFile> {
        self.by_token.values().filter(move |file| file.copy == copy)
    }

    /// Does a step of an upload.
    pub(crate) fn step(
        &mut self,
        trouble: Option<StorageTrouble>,
        upload: &Upload,
    ) -> Result<Uploaded, UploadError> {
        match &upload.stage {
            UploadStage::Waiting => Ok(Uploaded::Ticket(self.ticket(&upload.file))),
            UploadStage::Ticketed(ticket) => self.store(trouble, upload, ticket),
            UploadStage::Stored(ticket) => {
                self.file(ticket).is_confirmed = true;
                Ok(Uploaded::Confirmed)
            }
        }
    }

    fn ticket(&mut self, copy: &str) -> UploadTicket {
        let token = self.by_token.len() as u64;
        let file = StoredFile {
            copy: copy.to_owned(),
            ..StoredFile::default()
        };
        self.by_token.insert(token, file);
        UploadTicket {
            provider: "s3".to_owned(),
            upload_url: format!("https://storage/{token}"),
            token: token.to_string(),
            object_id: format!("{token:024x}"),
            url: format!("https://files/{token}"),
            key: copy.to_owned(),
        }
    }

    fn store(
        &mut self,
        trouble: Option<StorageTrouble>,
        upload: &Upload,
        ticket: &UploadTicket,
    ) -> Result<Uploaded, UploadError> {
        let refused = |status: u16, reason: &str| UploadError::Refused {
            status,
            code: None,
            reason: reason.to_owned(),
        };
        self.transfers += 1;
        match trouble {
            Some(StorageTrouble::RefusesTickets) => {
                self.file(ticket).is_disowned = true;
                let (status, reason) = (403, "expired".to_owned());
                Err(UploadError::TicketRefused { status, reason })
            }
            Some(StorageTrouble::RefusesFiles) => Err(refused(413, "too large")),
            Some(StorageTrouble::Full) => {
                let reason = "HTTP status 507".to_owned();
                Err(UploadError::Later { reason })
            }
            Some(StorageTrouble::Down | StorageTrouble::Mute) | None => {
                let again = self.transfers.is_multiple_of(SECOND_TICKET_EVERY);
                if self.mutation == Some(Mutation::SecondTicket) && again {
                    let second = self.ticket(&upload.file);
                    self.file(&second).is_stored = true;
                }
                self.file(ticket).is_stored = self.mutation != Some(Mutation::UploadBelieved);
                Ok(Uploaded::Stored)
            }
        }
    }

    fn file(&mut self, ticket: &UploadTicket) -> &mut StoredFile {
        let token = ticket.token.parse().unwrap_or(u64::MAX);
        self.by_token.entry(token).or_default()
    }
}

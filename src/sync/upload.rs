//! Uploads: the requests of a client's machine, and the results that the machine gets.

use crate::model::UploadTicket;

/// The result of a step of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The service gave a ticket.
    Ticket(UploadTicket),
    /// The bytes are in the storage.
    Stored,
    /// The service knows that they are.
    Confirmed,
}

/// The reason why a step of an upload brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadError {
    /// Nobody was reached, or there was trouble that passes.
    Later {
        /// The trouble.
        reason: String,
    },
    /// The storage does not take the ticket any more: a new one may do.
    TicketRefused {
        /// The HTTP status.
        status: u16,
        /// The storage's words.
        reason: String,
    },
    /// The service or the storage refused the file.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's number, where it gave one.
        code: Option<i32>,
        /// The words of the service or the storage.
        reason: String,
    },
    /// The copy in the spool can't be read.
    CopyLost {
        /// The fault of the copy.
        reason: String,
    },
    /// The ticket is for a storage that nobody here knows.
    UnknownStorage {
        /// The name of the storage's way.
        provider: String,
    },
}

//! The storage of the service: typed questions, writes as values, one commit a batch.
//!
//! | file | what it holds |
//! |---|---|
//! | `record.rs` | the stored facts, and [`Write`], the one way to change them |
//! | `keyed.rs` | an ordered map of bytes, with the batch as an overlay |
//! | `question.rs`, `write.rs` | [`Storage`] over such a map |
//! | `claim.rs` | the claims of loaded history about a message or a conversation |
//! | `installation.rs` | the rows of devices that get pushes |
//! | `key.rs`, `codec.rs` | the keys and the bytes of rows |
//! | `backup.rs` | a copy of a committed state, with a proof that the copy is whole |
//! | `conversation.rs`, `columns.rs` | a conversation's row, and the changes of many columns |
//! | `message.rs`, `dated.rs`, `short.rs` | the rows of a message, ids that tell a time, ids in few bytes |
//! | `missed.rs` | the notifications that a client missed, out of all their rows |
//! | `upgrade.rs` | data of an older schema |
//! | `seal.rs` | the checksum of a row |
//! | `salvage.rs` | the check of data, and the good rows of damaged data |
//! | `compaction.rs` | the file written anew at rest, without its gaps |
//! | `redb.rs`, `data_file.rs`, `new_file.rs` | the map on disk (docs/decisions/0002-redb.md), its file, and the file's making |
//! | `memory.rs` | the map in memory, for simulations and tests |
//!
//! Rules for a caller: [`Storage::apply`] makes writes visible to reads at once but not durable.
//! [`Storage::commit`] makes everything applied since the last commit durable, together. A write may be
//! reported outside only after its commit returned. Questions are in the service's own terms and not keys and
//! values, so a relational database can answer them.

mod backup;
mod claim;
mod codec;
mod columns;
mod compaction;
mod conversation;
mod data_file;
mod dated;
mod installation;
mod key;
mod keyed;
mod memory;
mod message;
mod missed;
mod new_file;
mod question;
mod record;
mod redb;
mod salvage;
mod seal;
mod short;
#[cfg(test)]
mod tests;
mod upgrade;
mod write;

use std::future::Future;

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};

pub use self::backup::{Backup, BackupError, Snapshot};
pub use self::claim::{Claim, ContentRank, Known};
pub(crate) use self::compaction::bytes_on_disk;
pub use self::dated::message_id;
pub(crate) use self::installation::DEVICE_CLIENTS_MAX;
pub use self::memory::MemoryStorage;
pub(crate) use self::missed::NOTICES_KEPT_MAX;
pub use self::record::{
    Ban, Body, Broadcast, Client, Clock, Conversation, Installation, Kind, Member, Message, Missed,
    Notice, Notification, Place, Readers, Revocation, Role, Token, Write,
};
pub use self::redb::RedbStorage;
pub use self::salvage::{Checked, Salvaged, check, salvage};

/// The reason why the storage could not answer or keep something.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database or the disk below it failed.
    #[error("the database failed: {0}")]
    Database(Box<::redb::Error>),
    /// The folder for the data cannot be made or opened.
    #[error("the data folder cannot be used: {0}")]
    Folder(#[from] std::io::Error),
    /// The database failed before and has not been opened anew since.
    #[error("the database is closed after a failure")]
    Closed,
    /// Another process has the data open.
    #[error("another process uses this data: stop the service first")]
    InUse,
    /// The process that had the data open last did not close it, or the file is damaged. A start repairs
    /// the database, or names the fault; the data can be looked through after that.
    #[error(
        "the service was killed, or the file is damaged: start the service, which repairs it or says what is wrong, and check then"
    )]
    NotClosed,
    /// The bytes that were read are not in the form that this service writes.
    #[error("the data is damaged: {what}; see `sampan-service check` and `sampan-service salvage`")]
    Damaged {
        /// The failed check; never any content.
        what: &'static str,
    },
    /// The data was written by a newer version of the service.
    #[error("the data has schema {found}, this build knows {known}")]
    NewerSchema {
        /// The schema of the data.
        found: u8,
        /// The newest schema this build reads.
        known: u8,
    },
}

impl StorageError {
    /// True if the disk has no room left.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind;
        let cause = match self {
            Self::Database(error) => match &**error {
                ::redb::Error::Io(cause) => cause,
                _ => return false,
            },
            Self::Folder(cause) => cause,
            _ => return false,
        };
        matches!(
            cause.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        )
    }
}

/// The work of a storage since it was opened, counted and not timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Rows that were looked up or read.
    pub rows: u64,
    /// Bytes of keys and values that were read.
    pub bytes: u64,
    /// Bytes of keys and values that were put into batches.
    pub written_bytes: u64,
}

/// One end of a stretch of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The time of the message at the end.
    pub at: Timestamp,
    /// Its id; without one the time alone counts.
    pub id: Option<MessageId>,
    /// True if the end belongs to the stretch.
    pub included: bool,
}

/// A stretch of a conversation's history; an absent end is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The older end.
    pub older: Option<Edge>,
    /// The newer end.
    pub newer: Option<Edge>,
}

/// From which end of a stretch to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the older end.
    OldestFirst,
    /// From the newer end.
    NewestFirst,
}

/// The questions the rules ask, and the batch they write.
///
/// Reads see the writes applied in the current batch. All lists are bounded by the `limit` given.
///
/// # Errors
///
/// Every method fails with a [`StorageError`] when the database fails or a row is damaged.
pub trait Storage {
    /// The live or ended token with this digest.
    fn token(
        &self,
        app: &AppId,
        digest: &str,
    ) -> impl Future<Output = Result<Option<Token>, StorageError>>;

    /// The last revocation of an app, or of one of its clients.
    fn revocation(
        &self,
        app: &AppId,
        client: Option<&ClientId>,
    ) -> impl Future<Output = Result<Option<Revocation>, StorageError>>;

    /// Digests of tokens that ended at or before `until`, oldest first.
    fn ended_tokens(
        &self,
        until: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(AppId, String)>, StorageError>>;

    /// The record of a client beyond its conversations.
    fn client(
        &self,
        app: &AppId,
        client: &ClientId,
    ) -> impl Future<Output = Result<Option<Client>, StorageError>>;

    /// A conversation by its id.
    fn conversation(
        &self,
        app: &AppId,
        id: &ConversationId,
    ) -> impl Future<Output = Result<Option<Conversation>, StorageError>>;

    /// The conversation that has this unique id now.
    fn unique_conversation(
        &self,
        app: &AppId,
        unique_id: &str,
    ) -> impl Future<Output = Result<Option<ConversationId>, StorageError>>;

    /// Conversations of the app in the order of their ids, from behind `after`.
    fn conversations(
        &self,
        app: &AppId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Conversation>, StorageError>>;

    /// Temporary conversations that ended at or before `until`, oldest end first.
    fn ended_conversations(
        &self,
        until: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(AppId, ConversationId)>, StorageError>>;

    /// The members of a conversation, in the order of their ids.
    fn members(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Member>, StorageError>>;

    /// One member.
    fn member(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        client: &ClientId,
    ) -> impl Future<Output = Result<Option<Member>, StorageError>>;

    /// The conversations a client is a member of, in the order of their ids, from behind `after`.
    fn memberships(
        &self,
        app: &AppId,
        client: &ClientId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ConversationId>, StorageError>>;

    /// The message at a place.
    fn message(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        place: &Place,
    ) -> impl Future<Output = Result<Option<Message>, StorageError>>;

    /// The claims about a message that was loaded; they outlive the message.
    fn claim(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        id: &MessageId,
    ) -> impl Future<Output = Result<Option<Claim>, StorageError>>;

    /// The claims about a conversation that was loaded; they outlive the conversation.
    fn known(
        &self,
        app: &AppId,
        conversation: &ConversationId,
    ) -> impl Future<Output = Result<Option<Known>, StorageError>>;

    /// The place of the message with this id.
    fn message_place(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        id: &MessageId,
    ) -> impl Future<Output = Result<Option<Place>, StorageError>>;

    /// The place of the message that `from` sent with this token.
    fn sent_with(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        from: &ClientId,
        token: &str,
    ) -> impl Future<Output = Result<Option<Place>, StorageError>>;

    /// Messages of a stretch, in the order asked for.
    fn messages(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        span: &Span,
        order: Order,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Message>, StorageError>>;

    /// Messages patched after `since`, in the order of their patches.
    fn patched_since(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        since: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Message>, StorageError>>;

    /// Notifications of a client after `since`, oldest first: its own, and those of the conversations
    /// that it is a member of, since it joined.
    fn notifications(
        &self,
        app: &AppId,
        client: &ClientId,
        since: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Missed, StorageError>>;

    /// Conversations for whose members notices are kept, by app and id, from behind `after`.
    fn noticed(
        &self,
        after: Option<&(AppId, ConversationId)>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(AppId, ConversationId)>, StorageError>>;

    /// The time of the newest notice of a conversation that `newer` others came after; none if so
    /// many are not kept.
    fn noticed_before(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        newer: usize,
    ) -> impl Future<Output = Result<Option<Timestamp>, StorageError>>;

    /// Clients for whom notifications are kept, by app and id, from behind `after`.
    fn notified(
        &self,
        after: Option<&(AppId, ClientId)>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(AppId, ClientId)>, StorageError>>;

    /// The time of the newest notification of a client that `newer` others came after; none if
    /// so many are not kept.
    fn notified_before(
        &self,
        app: &AppId,
        client: &ClientId,
        newer: usize,
    ) -> impl Future<Output = Result<Option<Timestamp>, StorageError>>;

    /// The broadcasts of an app after `since`, the newest first.
    fn broadcasts(
        &self,
        app: &AppId,
        since: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Broadcast>, StorageError>>;

    /// The clients on a list of a conversation, in the order of their ids.
    fn banned(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        ban: Ban,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ClientId>, StorageError>>;

    /// True if a client is on a list of a conversation.
    fn is_banned(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        ban: Ban,
        client: &ClientId,
    ) -> impl Future<Output = Result<bool, StorageError>>;

    /// A device by its object id.
    fn installation(
        &self,
        app: &AppId,
        id: &str,
    ) -> impl Future<Output = Result<Option<Installation>, StorageError>>;

    /// The device with this token or id of its own.
    fn installation_named(
        &self,
        app: &AppId,
        name: &str,
    ) -> impl Future<Output = Result<Option<Installation>, StorageError>>;

    /// The devices that are pushed the messages of a client.
    fn installations_of(
        &self,
        app: &AppId,
        client: &ClientId,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Installation>, StorageError>>;

    /// The service's clock; none in new data.
    fn clock(&self) -> impl Future<Output = Result<Option<Clock>, StorageError>>;

    /// The work of reading and writing so far.
    fn work(&self) -> Work;

    /// True if the current batch holds anything.
    fn has_changes(&self) -> bool;

    /// Adds writes to the current batch, in order.
    fn apply(&mut self, writes: Vec<Write>) -> impl Future<Output = Result<(), StorageError>>;

    /// Makes the current batch durable, all of it or nothing. Costs nothing when it is empty.
    fn commit(&mut self) -> impl Future<Output = Result<(), StorageError>>;

    /// Forgets the current batch.
    fn rollback(&mut self);

    /// True if the storage can answer and store, as far as is known.
    fn is_sound(&self) -> bool;

    /// The committed state, to be read on another thread while this storage goes on.
    ///
    /// # Errors
    ///
    /// [`StorageError`] when the database failed.
    fn snapshot(&self) -> Result<Snapshot, StorageError>;

    /// Puts the stored data in order, a little; called once a minute, and once a second while the answer is true: there
    /// is more to do. Changes nothing that can be asked.
    fn rest(&mut self) -> impl Future<Output = Result<bool, StorageError>>;

    /// Opens a failed database anew, and tries whether it can be written.
    fn recover(&mut self) -> impl Future<Output = Result<(), StorageError>>;
}

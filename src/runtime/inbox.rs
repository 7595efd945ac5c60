//! The extension inbox of a client: its files are read, enqueued, then removed.
//!
//! The folder is not watched. It is read when the client opens, when the app is back from the background, when
//! the store takes writes again, and when the app asks for it. A file is removed when the commit that enqueued
//! it is durable. After a kill between the two, the store knows the token of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::callers::Answer;
use super::{client_folders, clock};
use crate::SampanError;
use crate::model::{AppId, ClientId, ConversationId, Count, LocalId, Timestamp};
use crate::store::{Dropped, Inbox, Intent, StoreKey};
use crate::sync::{Imported, Reply, RequestError, RequestId};

/// How many files are taken at a time: they are in memory together, and in one commit.
const FILES_AT_ONCE: usize = 50;

/// The report on the folder that other processes of the app leave their work in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
#[non_exhaustive]
pub struct InboxReport {
    /// Pieces of work that were put into the outbox, or done.
    pub imported: Count,
    /// Files that could not be read. They are kept, under names that end in `.damaged`.
    pub damaged: Count,
    /// Whole files under another key than the client's store key. They stay until the client is opened with that
    /// key.
    pub locked: Count,
    /// Pieces of work that stay in the folder for now, because the outbox is full.
    pub left: Count,
}

/// A caller that waits for an import.
pub(super) type Asked = Answer<Result<InboxReport, SampanError>>;

/// The inbox of a client's app id, under the folder that the app chose.
pub(crate) fn inbox_of(
    root: &Path,
    app: &AppId,
    client: &ClientId,
    key: Option<StoreKey>,
) -> Inbox {
    Inbox::new(
        client_folders::folder(root, app, client),
        client.clone(),
        key,
    )
}

/// Leaves work in an inbox; durable on return. Gives its token.
pub(crate) fn leave(
    inbox: &Inbox,
    conversation: ConversationId,
    intent: Intent,
) -> Result<LocalId, SampanError> {
    leave_as(inbox, conversation, clock::randomness().local_id(), intent)
}

/// Leaves a message under a token that the app chose. The engine takes one message for a token.
pub(crate) fn leave_as(
    inbox: &Inbox,
    conversation: ConversationId,
    token: LocalId,
    intent: Intent,
) -> Result<LocalId, SampanError> {
    inbox.drop_intent(&Dropped {
        conversation,
        token: token.clone(),
        dropped_at: clock::wall(),
        intent,
    })?;
    Ok(token)
}

/// One client's inbox at the loop.
#[derive(Debug, Default)]
pub(super) struct Imports {
    inbox: Option<Inbox>,
    under_way: BTreeMap<RequestId, ImportedFiles>,
    /// The callers that are told when the folder has been read to its end; `found` is the report until now.
    waiting: Vec<Asked>,
    found: InboxReport,
    /// Files whose work is enqueued and that could not be removed: not to be enqueued again, even if the app
    /// discards the work.
    stuck: BTreeSet<String>,
    /// The report on everything found since the client was opened.
    total: InboxReport,
}

/// Files that the machine got, until their entries are durable.
#[derive(Debug)]
struct ImportedFiles {
    files: Vec<(String, LocalId)>,
    more: bool,
}

/// The progress of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImportState {
    /// There are more files to read.
    More,
    /// The folder has been read; the report is on everything found since the client was opened.
    All(InboxReport),
}

impl Imports {
    pub(super) fn new(inbox: Option<Inbox>) -> Self {
        Self {
            inbox,
            ..Self::default()
        }
    }

    /// From now on files are read under another key.
    pub(super) fn change_key(&mut self, key: &StoreKey) {
        if let Some(inbox) = &mut self.inbox {
            inbox.change_key(key.clone());
        }
    }

    /// Tells somebody when the folder has been read.
    pub(super) fn wait(&mut self, asked: Asked) {
        self.waiting.push(asked);
    }

    /// Reads the folder. The machine enqueues the found work under the given number; none when there is no
    /// folder, or it can't be read.
    pub(super) fn fetch(&mut self, id: RequestId, now: Timestamp) -> Option<Vec<Dropped>> {
        let Some(inbox) = &self.inbox else {
            self.answer(&Ok(InboxReport::default()));
            return None;
        };
        self.stuck.retain(|name| inbox.remove(name).is_err());
        let content = match inbox.read(FILES_AT_ONCE, &self.stuck, now) {
            Ok(content) => content,
            Err(error) => {
                log::warn!("the inbox can't be read: {error}");
                self.answer(&Err(error.into()));
                return None;
            }
        };
        if content.damaged > 0 {
            log::warn!("{} files of the inbox are damaged", content.damaged);
        }
        self.found.damaged = self.found.damaged.plus(Count(content.damaged));
        self.found.locked = Count(content.locked);
        let names = content.dropped.iter();
        let files = names.map(|(name, work)| (name.clone(), work.token.clone()));
        let import = ImportedFiles {
            files: files.collect(),
            more: content.more,
        };
        self.under_way.insert(id, import);
        let dropped = content.dropped.into_iter();
        Some(dropped.map(|(_, work)| work).collect())
    }

    /// The machine answered and its writes are durable: the files go. None when the answer is to something else.
    pub(super) fn finish(
        &mut self,
        id: RequestId,
        reply: &Result<Reply, RequestError>,
    ) -> Option<ImportState> {
        let import = self.under_way.remove(&id)?;
        let inbox = self.inbox.as_ref()?;
        // An import is never refused.
        let Ok(Reply::Imported(Imported { imported, left })) = reply else {
            return None;
        };
        for (name, token) in &import.files {
            if left.contains(token) {
                continue;
            }
            if let Err(error) = inbox.remove(name) {
                log::warn!("a file stays in the inbox: {error}");
                self.stuck.insert(name.clone());
            }
        }
        self.found.imported = self.found.imported.plus(Count::from(*imported));
        self.found.left = Count::from(left.len());
        if import.more && left.is_empty() {
            return Some(ImportState::More);
        }
        let found = std::mem::take(&mut self.found);
        self.total.imported = self.total.imported.plus(found.imported);
        self.total.damaged = self.total.damaged.plus(found.damaged);
        (self.total.locked, self.total.left) = (found.locked, found.left);
        self.answer(&Ok(found));
        Some(ImportState::All(self.total))
    }

    /// The store takes no writes: the files stay, and are fetched when it does again.
    pub(super) fn fail(&mut self, reason: &SampanError) {
        self.under_way.clear();
        self.found = InboxReport::default();
        self.answer(&Err(reason.clone()));
    }

    /// Tells the waiting callers; a caller that left is not told.
    fn answer(&mut self, outcome: &Result<InboxReport, SampanError>) {
        for asked in std::mem::take(&mut self.waiting) {
            let _ = asked.send(outcome.clone());
        }
    }
}

//! Passes the sources' facts to a service: messages in batches as they come, conversations at the end, with all
//! facts of the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sampan_service::core::loading::{
    ConversationRow, Loaded, LoadedMessage, NOT_SAID_WHOSE, ROLES_ALONE,
};
use sampan_service::storage::{Kind, Known};

use super::error::LoadError;
use super::into::Into;
use super::report::{Fate, LoadReport};
use super::rows::{RoleRow, SubscriberRow};
use crate::core::row::Row;

/// Messages in a batch.
const BATCH_ROWS: usize = 500;

/// Bytes of text in a batch, unless one row alone has more. Proxies take requests of this length.
const BATCH_BYTES: usize = 256 * 1024;

pub(super) struct Target {
    into: Into,
    pub(super) report: LoadReport,
    /// The facts about conversations that this run learned.
    learned: BTreeMap<String, Known>,
    /// Service conversations, as far as tables tell.
    services: BTreeSet<String>,
    /// The conversations of each export, in the order of reading.
    exported: Vec<(PathBuf, BTreeSet<String>)>,
    /// The conversations that archives tell of.
    archived: BTreeSet<String>,
    /// True while an export is read.
    is_export: bool,
    waiting: Vec<(LoadedMessage, Row)>,
    waiting_bytes: usize,
}

impl Target {
    pub(super) fn new(into: Into, report: LoadReport) -> Self {
        Self {
            into,
            report,
            learned: BTreeMap::new(),
            services: BTreeSet::new(),
            exported: Vec::new(),
            archived: BTreeSet::new(),
            is_export: false,
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// The rows that come next are those of an export.
    pub(super) fn begin_export(&mut self, path: &Path) {
        self.exported.push((path.to_owned(), BTreeSet::new()));
        self.is_export = true;
    }

    /// The rows that come next are those of archives.
    pub(super) fn begin_archives(&mut self) {
        self.is_export = false;
    }

    /// Takes a row of a table, or the reason why it cannot be read.
    pub(super) async fn table_row(
        &mut self,
        class: &str,
        row: Result<String, (String, String)>,
    ) -> Result<(), LoadError> {
        let row = match row {
            Ok(row) => row,
            Err((reason, text)) => {
                self.report.note(Fate::Quarantined(reason), class, &text);
                return Ok(());
            }
        };
        if class == "_SysMessage" {
            return self.said_to_service(&row).await;
        }
        let learned = match class {
            "_Conversation" | "AVOSRealtimeGroups" => self.conversation_row(class, &row),
            "_ConversationMemberInfo" => self.role_row(&row),
            "subscribers" => self.subscriber_row(&row),
            _ => Err("the service keeps no such table; the row stays in the archive"),
        };
        if let Err(reason) = learned {
            self.report
                .note(Fate::Quarantined(reason.to_owned()), class, &row);
        }
        Ok(())
    }

    /// Takes a row of `_SysMessage`.
    async fn said_to_service(&mut self, raw: &str) -> Result<(), LoadError> {
        match Row::read_said_to_service(raw) {
            Ok(row) => {
                // A message to a service is never edited, so its time is the time of its sending.
                let as_of = row.at;
                self.message(row, as_of, false).await
            }
            Err(error) => {
                let fate = Fate::Quarantined(error.to_string());
                self.report.note(fate, "_SysMessage", raw);
                Ok(())
            }
        }
    }

    fn subscriber_row(&mut self, row: &str) -> Result<(), &'static str> {
        let read = SubscriberRow::read(row)?;
        let known = Known {
            subscribers: BTreeSet::from([read.client]),
            ..Known::default()
        };
        self.learn("subscribers", read.service, known);
        Ok(())
    }

    fn conversation_row(&mut self, class: &str, row: &str) -> Result<(), &'static str> {
        let read = ConversationRow::read(row)?;
        let id = read.id.as_str().to_owned();
        if read.kind == Kind::System {
            self.services.insert(id.clone());
        }
        let told = match (self.is_export, self.exported.last_mut()) {
            (true, Some((_, told))) => told,
            _ => &mut self.archived,
        };
        told.insert(id.clone());
        let known = Known {
            row: Some((read.updated_at.as_millis(), row.to_owned())),
            said_service: read.kind == Kind::System,
            ..Known::default()
        };
        self.learn(class, id, known);
        Ok(())
    }

    fn role_row(&mut self, row: &str) -> Result<(), &'static str> {
        let read = RoleRow::read(row)?;
        let roles = BTreeMap::from([(read.client, (read.updated_at, read.role))]);
        let known = Known {
            roles,
            ..Known::default()
        };
        self.learn("_ConversationMemberInfo", read.conversation, known);
        Ok(())
    }

    /// Joins the facts of a row. The row's fate is counted against earlier rows of this run only.
    fn learn(&mut self, kind: &str, conversation: String, known: Known) {
        let before = self.learned.remove(&conversation);
        let after = before.clone().unwrap_or_default().join(known);
        let fate = match &before {
            None => Fate::Stored,
            Some(before) if *before == after => Fate::Known,
            Some(_) => Fate::Merged,
        };
        self.report.note(fate, kind, "");
        self.learned.insert(conversation, after);
    }

    /// Takes a message as it was at a time.
    pub(super) async fn message(
        &mut self,
        row: Row,
        as_of: i64,
        is_gone: bool,
    ) -> Result<(), LoadError> {
        if !self.is_export && !self.archived.contains(&row.conversation) {
            self.archived.insert(row.conversation.clone());
        }
        if row.reader.is_none() && self.services.contains(&row.conversation) {
            let fate = Fate::Quarantined(NOT_SAID_WHOSE.to_owned());
            self.report.note(fate, "message", &row.raw);
            return Ok(());
        }
        let message = LoadedMessage {
            conversation: row.conversation.clone(),
            id: row.id.clone(),
            at: row.at,
            from: row.from.clone(),
            data: row.data.clone(),
            is_binary: row.is_binary,
            is_recalled: row.is_recalled(),
            delivered_at: row.delivered_at,
            reader: row.reader.clone(),
            as_of,
            is_gone,
        };
        let bytes = row.raw.len();
        if self.waiting_bytes + bytes > BATCH_BYTES {
            self.flush().await?;
        }
        self.waiting.push((message, row));
        self.waiting_bytes += bytes;
        if self.waiting.len() >= BATCH_ROWS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Loads the waiting messages, and notes the outcome of each.
    pub(super) async fn flush(&mut self) -> Result<(), LoadError> {
        let (messages, rows): (Vec<_>, Vec<_>) = self.waiting.drain(..).unzip();
        self.waiting_bytes = 0;
        for (loaded, row) in self.into.messages(messages).await?.into_iter().zip(rows) {
            let fate = match loaded {
                Loaded::Stored => Fate::Stored,
                Loaded::Merged => Fate::Merged,
                Loaded::Known => Fate::Known,
                Loaded::Deleted => {
                    Fate::Quarantined("the message was deleted in the old service".to_owned())
                }
                Loaded::Refused(reason) => {
                    self.report
                        .note(Fate::Quarantined(reason), "message", &row.raw);
                    continue;
                }
            };
            self.note_in_conversation(&row);
            self.report.note(fate, "message", &row.raw);
        }
        Ok(())
    }

    /// Notes the facts of a message about its conversation: those of this source alone, so that the order of the
    /// sources makes no difference.
    fn note_in_conversation(&mut self, row: &Row) {
        if !self.learned.contains_key(&row.conversation) {
            self.learned
                .insert(row.conversation.clone(), Known::default());
        }
        if let Some(known) = self.learned.get_mut(&row.conversation) {
            let from = row.from.as_deref().unwrap_or_default();
            known.note(row.at, &row.id, from, row.reader.as_deref());
            known.senders.extend(row.receivers.iter().cloned());
        }
    }

    /// Forgets exports none of whose conversations is in an archive, and names the first of them.
    pub(super) fn forget_foreign(&mut self) -> Option<LoadError> {
        let archived = &self.archived;
        let is_foreign = |told: &BTreeSet<String>| !told.is_empty() && told.is_disjoint(archived);
        let exported = self.exported.iter().filter(|(_, told)| is_foreign(told));
        let foreign: Vec<_> = exported.cloned().collect();
        if archived.is_empty() {
            return None;
        }
        for (_, told) in &foreign {
            self.learned.retain(|id, _| !told.contains(id));
        }
        let (path, told) = foreign.into_iter().next()?;
        let conversations = told.len();
        Some(LoadError::OtherExport {
            path,
            conversations,
        })
    }

    /// Loads the conversations, and makes everything durable.
    pub(super) async fn finish(mut self) -> Result<LoadReport, LoadError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (id, known) in std::mem::take(&mut self.learned) {
            for part in parts(known) {
                let length = length(&part);
                if !batch.is_empty() && (bytes + length > BATCH_BYTES || batch.len() >= BATCH_ROWS)
                {
                    self.conversations(std::mem::take(&mut batch)).await?;
                    bytes = 0;
                }
                bytes += length;
                batch.push((id.clone(), part));
            }
        }
        self.conversations(batch).await?;
        self.into.finish().await?;
        self.report.close().map_err(LoadError::Report)?;
        Ok(self.report)
    }

    async fn conversations(&mut self, batch: Vec<(String, Known)>) -> Result<(), LoadError> {
        let ids: Vec<String> = batch.iter().map(|(id, _)| id.clone()).collect();
        for (lacking, id) in self.into.conversations(batch).await?.into_iter().zip(ids) {
            if let Some(reason) = lacking {
                let kind = match reason == ROLES_ALONE {
                    true => "_ConversationMemberInfo",
                    false => "_Conversation",
                };
                self.report.note(Fate::Quarantined(reason), kind, &id);
            }
        }
        Ok(())
    }
}

/// Names of clients in a part of the facts about a conversation.
const PART_NAMES: usize = 2_000;

/// The facts in parts that a request can hold. The first part has the row, so that the others meet it.
fn parts(mut known: Known) -> Vec<Known> {
    let mut parts = Vec::new();
    loop {
        let mut part = Known {
            row: known.row.take(),
            newest: known.newest,
            first: known.first.clone(),
            newest_private: known.newest_private,
            first_private: known.first_private.clone(),
            said_service: known.said_service,
            ..Known::default()
        };
        part.senders = front(&mut known.senders);
        part.subscribers = front(&mut known.subscribers);
        part.readers = front(&mut known.readers);
        while part.roles.len() < PART_NAMES
            && let Some((client, role)) = known.roles.pop_first()
        {
            part.roles.insert(client, role);
        }
        parts.push(part);
        let is_empty = known.senders.is_empty()
            && known.subscribers.is_empty()
            && known.readers.is_empty()
            && known.roles.is_empty();
        if is_empty {
            return parts;
        }
    }
}

fn front(names: &mut BTreeSet<String>) -> BTreeSet<String> {
    let mut front = BTreeSet::new();
    while front.len() < PART_NAMES
        && let Some(name) = names.pop_first()
    {
        front.insert(name);
    }
    front
}

/// About how long the facts are as text.
fn length(known: &Known) -> usize {
    let names = [&known.senders, &known.subscribers, &known.readers];
    let names = names.into_iter().flatten().map(|name| name.len() + 3);
    let roles = known.roles.keys().map(|client| client.len() + 40);
    let row = known.row.as_ref().map_or(0, |(_, row)| row.len());
    row + names.sum::<usize>() + roles.sum::<usize>() + 200
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_facts_are_the_facts() {
        let names = |count: usize| (0..count).map(|it| format!("client{it}")).collect();
        let roles = (0..4_500).map(|it| (format!("client{it}"), (it, "Manager".to_owned())));
        let known = Known {
            row: Some((5, "{}".to_owned())),
            newest_private: Some(9),
            first_private: Some((3, "m".to_owned(), "client0".to_owned())),
            said_service: true,
            subscribers: names(2_001),
            readers: names(6_000),
            roles: roles.collect(),
            ..Known::default()
        };
        let parts = parts(known.clone());
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.readers.len() <= PART_NAMES));
        let joined = parts.into_iter().fold(Known::default(), Known::join);
        assert_eq!(joined, known);
        assert_eq!(super::parts(Known::default()).len(), 1);
    }
}

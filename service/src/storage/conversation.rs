//! A conversation's row. Few columns are in the row itself. Many columns have rows of their own, first all and
//! then the changes, so a small change of large columns writes little.

use sampan::model::{AppId, ClientId, ConversationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map as Object, Value};

use super::codec::{decode, encode, millis, millis_opt, text};
use super::columns::{Edit, apply, difference};
use super::key;
use super::keyed::{Keyed, Map};
use super::record::{Conversation, Kind};
use super::{Order, StorageError};

/// Bytes of columns that stand in the row itself.
const INLINE_MAX: usize = 512;

/// Bytes of columns for each change that may stand behind them. So many bytes more each change
/// costs, at most, for the moment when all columns are written anew; and so few changes there are to
/// read.
const BYTES_A_CHANGE: usize = 1024;

const MISSING: StorageError = StorageError::Damaged {
    what: "columns of a conversation are missing",
};

/// A conversation as it is kept. Rows of schema 1 have all columns in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    #[serde(with = "text")]
    id: ConversationId,
    kind: Kind,
    #[serde(with = "text")]
    creator: ClientId,
    columns: Object<String, Value>,
    pub(super) unique_id: Option<String>,
    #[serde(with = "millis")]
    created_at: Timestamp,
    #[serde(with = "millis")]
    updated_at: Timestamp,
    #[serde(with = "millis_opt")]
    pub(super) expires_at: Option<Timestamp>,
    /// The place where the columns are, unless they are here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apart: Option<Apart>,
}

/// Columns that do not stand in the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Apart {
    /// The bytes of the row with all columns.
    bytes: usize,
    /// The bytes of the changes behind it.
    changed: usize,
    /// The number of changes.
    changes: u32,
}

impl<M: Map> Keyed<M> {
    pub(super) fn head(
        &self,
        app: &AppId,
        id: &ConversationId,
    ) -> Result<Option<Head>, StorageError> {
        self.record(&key::conversation(app, id))
    }

    pub(super) fn whole_conversation(
        &self,
        app: &AppId,
        id: &ConversationId,
    ) -> Result<Option<Conversation>, StorageError> {
        let head = self.head(app, id)?;
        head.map(|head| self.whole(app, head)).transpose()
    }

    /// A conversation with its columns.
    pub(super) fn whole(&self, app: &AppId, head: Head) -> Result<Conversation, StorageError> {
        let columns = self.columns_of(app, &head)?;
        Ok(Conversation {
            id: head.id,
            kind: head.kind,
            creator: head.creator,
            columns,
            unique_id: head.unique_id,
            created_at: head.created_at,
            updated_at: head.updated_at,
            expires_at: head.expires_at,
        })
    }

    fn columns_of(&self, app: &AppId, head: &Head) -> Result<Object<String, Value>, StorageError> {
        let Some(apart) = head.apart else {
            return Ok(head.columns.clone());
        };
        let from = key::columns_part(app, &head.id, 0).into_bytes();
        let to = key::columns_part(app, &head.id, apart.changes).end();
        let rows = self.rows(&from, &to, Order::OldestFirst, usize::MAX)?;
        let mut rows = rows.iter();
        if rows.len() as u64 != u64::from(apart.changes) + 1 {
            return Err(MISSING);
        }
        let (_, first) = rows.next().ok_or(MISSING)?;
        let mut columns = decode(first)?;
        for (_, change) in rows {
            let edits: Vec<Edit> = decode(change)?;
            apply(&mut columns, edits).map_err(|()| StorageError::Damaged {
                what: "a change of columns does not fit them",
            })?;
        }
        Ok(columns)
    }

    /// Keeps a conversation whose row is `before` now.
    pub(super) fn put_head(
        &mut self,
        app: &AppId,
        row: &Conversation,
        before: Option<Head>,
    ) -> Result<(), StorageError> {
        let mut head = Head {
            id: row.id.clone(),
            kind: row.kind,
            creator: row.creator.clone(),
            columns: Object::new(),
            unique_id: row.unique_id.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            expires_at: row.expires_at,
            apart: None,
        };
        let known = before
            .map(|before| Ok::<_, StorageError>((self.columns_of(app, &before)?, before.apart)));
        let apart = match known.transpose()? {
            Some((columns, Some(apart))) if columns == row.columns => Some(apart),
            Some((columns, Some(apart))) => self.put_change(app, row, &columns, apart)?,
            _ => self.put_columns(app, row, None)?,
        };
        head.apart = apart;
        if apart.is_none() {
            head.columns = row.columns.clone();
        }
        self.put(key::conversation(app, &row.id), encode(&head)?);
        Ok(())
    }

    /// Writes the changes of columns that stand apart, or all of them where that costs no more.
    fn put_change(
        &mut self,
        app: &AppId,
        row: &Conversation,
        before: &Object<String, Value>,
        apart: Apart,
    ) -> Result<Option<Apart>, StorageError> {
        let edits = encode(&difference(before, &row.columns))?;
        let changed = apart.changed + edits.len();
        let many = (apart.changes as usize + 1) * BYTES_A_CHANGE >= apart.bytes;
        if many || changed >= apart.bytes {
            return self.put_columns(app, row, Some(apart));
        }
        let changes = apart.changes + 1;
        self.put(key::columns_part(app, &row.id, changes), edits);
        Ok(Some(Apart {
            changed,
            changes,
            ..apart
        }))
    }

    /// Writes all columns apart, if they are many.
    fn put_columns(
        &mut self,
        app: &AppId,
        row: &Conversation,
        before: Option<Apart>,
    ) -> Result<Option<Apart>, StorageError> {
        if let Some(before) = before {
            for change in 0..=before.changes {
                self.drop_row(key::columns_part(app, &row.id, change));
            }
        }
        let columns = encode(&row.columns)?;
        if columns.len() <= INLINE_MAX {
            return Ok(None);
        }
        let apart = Apart {
            bytes: columns.len(),
            ..Apart::default()
        };
        self.put(key::columns_part(app, &row.id, 0), columns);
        Ok(Some(apart))
    }
}

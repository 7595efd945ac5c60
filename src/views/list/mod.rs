//! The list of conversations: a window from the top, in an order, of those that fit a filter.
//!
//! | file | what it holds |
//! |---|---|
//! | `row.rs` | a conversation as a list shows it |
//! | `filter.rs` | which conversations a list shows |
//! | `view.rs` | the view: the order of all that fit, and the rows of the window |

mod filter;
mod row;
mod view;

use crate::model::query::FilterError;
use crate::model::{CommitSeq, ConversationKey, Count};

use super::Version;
use super::diff::{Keyed, apply};
use super::edits::edits;

pub use filter::ConversationFilter;
pub use row::{ContentKind, ConversationRow, LastMessage};
pub use view::{Dirty, ListView};

/// Which conversations a list shows, in which order, and how many at first.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ListOptions {
    /// Which; none for all.
    #[uniffi(default)]
    pub filter: Option<ConversationFilter>,
    /// In which order; none for the newest activity first.
    #[uniffi(default)]
    pub order: Option<ConversationOrder>,
    /// How many rows the first window has, 1 to 500.
    #[uniffi(default = 50)]
    pub page: u32,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self {
            filter: None,
            order: None,
            page: 50,
        }
    }
}

impl ListOptions {
    /// Whether the conditions of queries in the filter can be used.
    ///
    /// # Errors
    ///
    /// [`FilterError`] says what can't.
    pub fn check(&self) -> Result<(), FilterError> {
        self.filter
            .as_ref()
            .map_or(Ok(()), |filter| filter.tests(&mut Vec::new()))
    }
}

/// The order of a list. Pinned conversations come first in every order. Conversations that are alike stand by
/// activity, the newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum ConversationOrder {
    /// The newest activity first.
    #[default]
    Activity,
    /// Conversations with something unread come first.
    UnreadFirst,
    /// By name, without regard to upper and lower case; those without a name last.
    Name,
    /// The newest conversation first, by when the service made it; those it has not made yet first.
    Created,
}

edits! {
    /// One edit of a list. An index is good for applying that edit, after those before it, and for
    /// nothing else.
    ListEdit of ConversationRow as row, rows
}

/// The changes of a list.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ListUpdate {
    /// The version that the edits lead to: `next` takes it.
    pub version: Version,
    /// The commit whose state the window shows; it never goes back.
    pub seq: CommitSeq,
    /// The edits, in order.
    pub edits: Vec<ListEdit>,
    /// True if more conversations fit than the window shows.
    pub more: bool,
    /// How many conversations fit.
    pub total: Count,
}

/// A list at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListState {
    /// The version: `next` takes it.
    pub version: Version,
    /// The rows, from the top.
    pub rows: Vec<ConversationRow>,
    /// True if more conversations fit than these.
    pub more: bool,
    /// How many conversations fit.
    pub total: Count,
}

impl ListState {
    /// Takes an update that `next` answered to this state's version.
    pub fn apply(&mut self, update: ListUpdate) {
        for edit in update.edits {
            apply(&mut self.rows, edit.into());
        }
        self.version = update.version;
        self.more = update.more;
        self.total = update.total;
    }
}

impl Keyed for ConversationRow {
    type Key = ConversationKey;

    fn key(&self) -> &ConversationKey {
        &self.key
    }
}

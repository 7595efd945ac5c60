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

/// The options of a list of conversations.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ListOptions {
    /// The filter; none for all conversations.
    #[uniffi(default)]
    pub filter: Option<ConversationFilter>,
    /// The order; none for the newest activity first.
    #[uniffi(default)]
    pub order: Option<ConversationOrder>,
    /// The rows of the first window, 1 to 500.
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
    /// Checks the conditions of queries in the filter.
    ///
    /// # Errors
    ///
    /// [`FilterError`] with the part that can't be used.
    pub fn check(&self) -> Result<(), FilterError> {
        self.filter
            .as_ref()
            .map_or(Ok(()), |filter| filter.tests(&mut Vec::new()))
    }
}

/// The order of a list. Pinned conversations come first in every order. Conversations that are equal in the
/// order follow the newest activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum ConversationOrder {
    /// The newest activity first.
    #[default]
    Activity,
    /// Conversations with unread messages come first.
    UnreadFirst,
    /// By name, without regard to upper and lower case; those without a name last.
    Name,
    /// The newest conversation first, by the service's time of its creation; conversations that the service has
    /// not made yet come first.
    Created,
}

edits! {
    /// One edit of a list. An index is valid for this edit only, after those before it.
    ListEdit of ConversationRow as row, rows
}

/// The changes of a list.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ListUpdate {
    /// The version after the edits, for `next`.
    pub version: Version,
    /// The commit that the window shows; it never goes back.
    pub seq: CommitSeq,
    /// The edits, in order.
    pub edits: Vec<ListEdit>,
    /// True if more conversations match than the window shows.
    pub more: bool,
    /// The number of conversations that match.
    pub total: Count,
}

/// The state of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListState {
    /// The version of the state, for `next`.
    pub version: Version,
    /// The rows, from the top.
    pub rows: Vec<ConversationRow>,
    /// True if more conversations match than these.
    pub more: bool,
    /// The number of conversations that match.
    pub total: Count,
}

impl ListState {
    /// Applies an update that `next` answered for this state's version.
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

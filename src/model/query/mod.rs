//! Queries of conversations: one language and one meaning, at the service and over a device's store.
//!
//! | file | what it holds |
//! |---|---|
//! | `ask.rs` | a query as an app asks it, and the same in the language |
//! | `filter.rs` | the language of conditions, read once and asked row by row |
//! | `selection.rs` | a query that can be run: its filter, its order, its page |
//! | `column.rs` | the names of columns, and the values that stand there |
//! | `value.rs` | how two values compare |
//!
//! A row is a map of columns. The owner of the rows makes the maps, and asks [`QuerySelection`].

mod ask;
pub mod column;
pub mod filter;
mod selection;
pub mod value;

pub use ask::{ConversationQuery, QueryCondition, QueryOrder, date};
pub use filter::pattern::Steps;
pub use filter::{Filter, FilterError};
pub use selection::{
    Choice, DEFAULT_LIMIT, Detail, MAX_ORDER_BYTES, MAX_SKIP, MAX_SORT_COLUMNS, QueryError,
    QueryFields, QuerySelection, Sort, SortKey,
};

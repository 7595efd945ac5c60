//! History: the spans that are stored without holes, and the requests for the missing rest.
//!
//! | file | decision |
//! |---|---|
//! | `join.rs` | joining of a message to the stored history |
//! | `catch_up.rs` | the conversations that are behind, and the order of their requests |
//! | `pages.rs` | requests for history: of an absence, and for the app's paging |
//! | `question.rs` | questions of an app about any part of the history, by time and type |
//! | `recheck.rs` | stored messages that may have changed while this client was out, and when they are read again |
//! | `start.rs` | the start and the direction of a page |
//! | `forward.rs` | pages that go forward in time |
//! | `conversation_list.rs` | requests for conversations: changed ones, unknown ones |
//! | `told_row.rs` | the changes that a row from the service makes here |
//! | `queries.rs` | queries of the app, answered by the service |
//! | `refusals.rs` | the repetition of a refused request |

pub(super) mod catch_up;
pub(super) mod conversation_list;
pub(super) mod forward;
pub(super) mod join;
pub(super) mod pages;
pub(super) mod queries;
pub(super) mod question;
pub(super) mod recheck;
pub(super) mod refusals;
mod start;
pub(super) mod told_row;

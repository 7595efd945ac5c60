//! History: the spans that are held without holes, and the questions for the missing rest.
//!
//! | file | what it decides |
//! |---|---|
//! | `join.rs` | whether a message continues the history that is held |
//! | `catch_up.rs` | which conversations are behind, and in which order they are asked for |
//! | `pages.rs` | asking for history: of an absence, and for the app's paging |
//! | `question.rs` | questions of an app about any part of the history, by time and type |
//! | `start.rs` | where a page starts, and in which direction it goes |
//! | `forward.rs` | pages that go forward in time |
//! | `conversation_list.rs` | asking for conversations: those that changed, those unknown |
//! | `told_row.rs` | what a row that the service tells changes here |
//! | `queries.rs` | queries of the app, answered by the service |
//! | `refusals.rs` | how often a refused question is asked again |

pub(super) mod catch_up;
pub(super) mod conversation_list;
pub(super) mod forward;
pub(super) mod join;
pub(super) mod pages;
pub(super) mod queries;
pub(super) mod question;
pub(super) mod refusals;
mod start;
pub(super) mod told_row;

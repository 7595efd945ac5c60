//! What is held without holes, and what of the rest is asked for.
//!
//! | file | what it decides |
//! |---|---|
//! | `join.rs` | whether a message continues the history that is held |
//! | `pages.rs` | asking for history: what was missed, what the app pages through |
//! | `conversation_list.rs` | asking for conversations: those that changed, those unknown |
//! | `refusals.rs` | how often what is refused is asked for again |

pub(super) mod conversation_list;
pub(super) mod join;
pub(super) mod pages;
pub(super) mod refusals;

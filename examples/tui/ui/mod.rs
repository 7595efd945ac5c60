//! The screen: what it shows, how keys change it, how it is drawn.
//!
//! | file | what it holds |
//! |---|---|
//! | `app.rs` | the views that are followed, and what the keys do |
//! | `talk.rs` | the open conversation: its timeline and where the user is in it |
//! | `draw.rs` | the panels: the line of the connection, the list, the outbox, the input |
//! | `lines.rs` | the open conversation as lines: days, marks, gaps |
//! | `save.rs` | a file on its way to where the user finds it |
//! | `words.rs` | times, counts and reasons in words |

mod app;
mod draw;
mod lines;
mod save;
mod talk;
mod words;

pub(crate) use app::{App, Flow};
pub(crate) use draw::draw;

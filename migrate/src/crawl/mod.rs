//! Saves all data of an app from a service, while the service still answers.
//!
//! | file | what it does |
//! |---|---|
//! | `options.rs`, `error.rs` | the work of a crawl; the reasons why one ended early |
//! | `source.rs` | one page: the pace, time-outs, repeats, and fatal errors |
//! | `history.rs` | workers that read slices into segments |
//! | `tables.rs` | conversations, member infos and other tables |
//! | `check.rs` | compares single conversations with the whole history, and reads the kinds that the history leaves out |
//! | `tail.rs` | follows new messages |
//! | `attachments.rs` | the files that messages point at |
//! | `progress.rs` | bars and counts |
//! | `run.rs` | the order of all that |

mod attachments;
mod check;
mod error;
mod history;
mod options;
mod progress;
mod run;
mod source;
mod tables;
mod tail;

pub use self::attachments::{Attachment, damaged_attachments, forget_attachments, index_lines};
pub use self::error::CrawlError;
pub use self::options::CrawlOptions;
pub use self::progress::Progress;
pub use self::run::{CrawlReport, run};

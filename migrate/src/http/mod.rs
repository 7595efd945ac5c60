//! Requests to a service, and the meaning of its answers.
//!
//! | file | what it holds |
//! |---|---|
//! | `server.rs` | an address, an app and its master key; one GET with limits |
//! | `verdict.rs` | the meaning of an answer for the crawl |

mod server;
mod verdict;

pub use self::server::{Answer, HttpError, MasterKey, Server, ServerOptions};
pub use self::verdict::{Fatal, Verdict, judge};

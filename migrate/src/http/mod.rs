//! Requests to a service, and how its answers are told apart.
//!
//! | file | what it holds |
//! |---|---|
//! | `server.rs` | an address, an app and its master key; one GET with limits |
//! | `verdict.rs` | what an answer means for the crawl |

mod server;
mod verdict;

pub use self::server::{Answer, HttpError, MasterKey, Server, ServerOptions};
pub use self::verdict::{Fatal, Verdict, judge};

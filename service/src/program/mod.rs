//! The program around the service: flags, the log, signals, tools.
//!
//! | file | what it does |
//! |---|---|
//! | `arguments.rs` | flags, subcommands and environment |
//! | `apps.rs` | apps and settings out of flags and files |
//! | `log.rs` | the log on standard error |
//! | `signals.rs` | what the system tells the process |
//! | `tools.rs` | the subcommands |
//! | `admin.rs` | the subcommand that sees to sessions, clients and conversations |
//! | `control.rs` | talking to the service that runs |

#[cfg(unix)]
mod admin;
pub(crate) mod apps;
pub(crate) mod arguments;
#[cfg(unix)]
mod control;
pub(crate) mod log;
pub(crate) mod signals;
pub(crate) mod tools;

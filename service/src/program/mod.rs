//! The program around the service: flags, the log, signals, tools.
//!
//! | file | what it does |
//! |---|---|
//! | `arguments.rs` | flags, subcommands and environment |
//! | `apps.rs` | apps and settings from flags and files |
//! | `log.rs` | the log on standard error |
//! | `signals.rs` | the signals of the system to the process |
//! | `tools.rs` | the subcommands |
//! | `admin.rs` | the subcommand for sessions, clients and conversations |
//! | `control.rs` | requests to the running service |

#[cfg(unix)]
mod admin;
pub(crate) mod apps;
pub(crate) mod arguments;
#[cfg(unix)]
mod control;
pub(crate) mod log;
pub(crate) mod signals;
pub(crate) mod tools;

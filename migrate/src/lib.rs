//! Moving an app's conversations and messages: out of a hosted service into an archive, and from
//! there into `sampan-service`.
//!
//! As a program: `sampan-migrate crawl --server https://HOST --app ID --archive FOLDER`; `--help`
//! teaches the rest, `docs/moving.md` the whole way.
//!
//! | room | what is in it |
//! |---|---|
//! | [`core`] | the rules, pure: slices, pages, pace, comparison |
//! | [`archive`] | the folder that holds what a service answered (`docs/archive.md`) |
//! | [`http`] | a service to ask |
//! | [`crawl`] | asking it for everything |
//! | [`merged`] | the messages of an archive, each once |
//! | [`load`] | into the data folder of a service |
//! | [`cli`] | flags, and what they do |

pub mod archive;
pub mod cli;
mod clock;
pub mod core;
pub mod crawl;
pub mod http;
pub mod load;
pub mod merged;

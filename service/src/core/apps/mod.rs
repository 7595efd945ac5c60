//! The apps that are served: their keys and settings, and the signatures and tokens made with the keys.

pub mod app;
pub mod file_settings;
pub mod hook_settings;
pub mod push_settings;
mod range;
pub mod rates;
pub mod settings;
pub mod signature;
pub(in crate::core) mod signature_check;
pub(in crate::core) mod token;

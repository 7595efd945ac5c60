//! The master key.

use std::path::Path;

use crate::http::MasterKey;

/// The variable that holds the master key.
const KEY_VARIABLE: &str = "SAMPAN_MASTER_KEY";

/// The master key, from the file or the environment.
pub(super) fn master_key(file: Option<&Path>) -> Result<MasterKey, String> {
    let (text, home) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file);
            (
                text.map_err(|error| format!("{}: {error}", file.display()))?,
                file.display().to_string(),
            )
        }
        None => {
            let text = std::env::var(KEY_VARIABLE);
            let missing = |_| {
                format!("no master key: set {KEY_VARIABLE}, or name a file with --master-key-file")
            };
            (text.map_err(missing)?, KEY_VARIABLE.to_owned())
        }
    };
    // Some consoles show the key with the mark that makes it a master key.
    let text = text.trim().trim_end_matches(",master");
    MasterKey::new(text).ok_or_else(|| format!("{home} does not hold a master key"))
}

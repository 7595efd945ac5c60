//! The apps with their keys and settings, out of flags and files: at the start, and again when asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sampan_service::core::app::{Apps, Credentials};
use sampan_service::core::settings;

use super::arguments::AppFlags;

/// Where apps and settings stand.
#[derive(Debug)]
pub(crate) struct AppSources {
    given: Vec<String>,
    file: Option<PathBuf>,
    settings: Option<PathBuf>,
}

impl AppSources {
    pub(crate) fn new(flags: AppFlags, settings: Option<PathBuf>) -> Self {
        Self {
            given: flags.apps,
            file: flags.app_file,
            settings,
        }
    }

    /// Whether no app is given at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.file.is_none()
    }

    /// Reads all of it. The text of an error says what is wrong and repeats no key.
    pub(crate) fn read(&self) -> Result<Apps, String> {
        let settings = match &self.settings {
            None => BTreeMap::new(),
            Some(file) => settings::parse_file(&text_of(file)?)
                .map_err(|error| format!("{}: {error}", file.display()))?,
        };
        let mut apps = Vec::new();
        for text in &self.given {
            apps.push(
                text.parse::<Credentials>()
                    .map_err(|error| error.to_string())?,
            );
        }
        if let Some(file) = &self.file {
            for (number, line) in text_of(file)?.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let app = line.parse::<Credentials>();
                let told = |error| format!("{}, line {}: {error}", file.display(), number + 1);
                apps.push(app.map_err(told)?);
            }
        }
        Apps::new(apps, settings).map_err(|error| error.to_string())
    }
}

fn text_of(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

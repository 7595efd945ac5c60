//! The apps with their keys and settings, read from flags and files: at the start, and again on request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sampan_service::core::app::{App, Apps, Credentials};
use sampan_service::core::settings;

use super::arguments::AppFlags;

/// The sources of apps and settings.
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

    /// True if no app is given at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.file.is_none()
    }

    /// Reads all of it. The text of an error names the fault and repeats no key.
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

/// The warnings at the start of a service that others than this machine reach: one about each app that takes
/// clients at their word.
pub(crate) fn open_doors(listen: SocketAddr, apps: &Apps) -> Vec<String> {
    if listen.ip().is_loopback() {
        return Vec::new();
    }
    let open = apps.iter().filter(|app| !app.settings.signatures.login);
    let warning = |app: &App| {
        format!(
            "whoever reaches {listen} may sign in to the app {} as any client: its setting signatures.login is off",
            app.credentials.id
        )
    };
    open.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_others_reach_is_warned_of_apps_that_take_clients_at_their_word() {
        let text = r#"{"signed":{"signatures":{"login":true}}}"#;
        let apps = ["signed:k:m", "open:k2:m2"].map(|app| app.parse::<Credentials>().unwrap());
        let apps = Apps::new(apps, settings::parse_file(text).unwrap()).unwrap();
        let said = open_doors("[::]:8080".parse().unwrap(), &apps);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("the app open "), "{said:?}");
        assert_eq!(
            open_doors("127.0.0.1:8080".parse().unwrap(), &apps),
            [""; 0]
        );
    }
}

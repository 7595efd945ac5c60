//! The apps that the service serves: their keys and settings.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sampan::model::AppId;
use subtle::ConstantTimeEq;

use super::settings::Settings;

/// The reason why apps cannot be served. Keys are never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// The text is not `ID:KEY:MASTERKEY`, or a part is empty.
    #[error("an app must be given as ID:KEY:MASTERKEY")]
    Malformed,
    /// The id is too long.
    #[error("an app id must be 1 to 128 characters long")]
    InvalidId,
    /// The key and the master key are the same, so that every client would be the operator.
    #[error("app {0}: the key and the master key must differ")]
    SameKeys(AppId),
    /// An app is given twice.
    #[error("app {0} is given twice")]
    Twice(AppId),
    /// The settings name an app that is not served.
    #[error("there are settings for app {0}, which is not served")]
    UnknownApp(String),
}

/// A text that is compared in constant time and never shown.
#[derive(Clone)]
pub struct Secret(Arc<str>);

/// An app's id and keys, as given at the start: `ID:KEY:MASTERKEY`.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The app's id.
    pub id: AppId,
    /// The key that every client of the app has.
    pub key: Secret,
    /// The key that only the app's own servers have.
    pub master_key: Secret,
}

/// An app that is served.
#[derive(Clone, Debug)]
pub struct App {
    /// Its id and keys.
    pub credentials: Credentials,
    /// The settings that the app wants.
    pub settings: Settings,
}

/// The apps that are served, by id.
#[derive(Clone, Debug, Default)]
pub struct Apps(BTreeMap<AppId, App>);

impl Apps {
    /// Joins apps with their settings; an app without settings has the defaults.
    ///
    /// # Errors
    ///
    /// [`AppError::Twice`] and [`AppError::UnknownApp`].
    pub fn new(
        credentials: impl IntoIterator<Item = Credentials>,
        mut settings: BTreeMap<String, Settings>,
    ) -> Result<Self, AppError> {
        let mut apps = BTreeMap::new();
        for credentials in credentials {
            let id = credentials.id.clone();
            if apps.contains_key(&id) {
                return Err(AppError::Twice(id));
            }
            let settings = settings.remove(id.as_str()).unwrap_or_default();
            apps.insert(
                id,
                App {
                    credentials,
                    settings,
                },
            );
        }
        match settings.into_keys().next() {
            Some(unknown) => Err(AppError::UnknownApp(unknown)),
            None => Ok(Self(apps)),
        }
    }

    /// The app with this id, if it is served.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&App> {
        self.0.get(&AppId::new(id).ok()?)
    }

    /// All apps, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &App> {
        self.0.values()
    }
}

impl FromStr for Credentials {
    type Err = AppError;

    fn from_str(text: &str) -> Result<Self, AppError> {
        let mut parts = text.splitn(3, ':');
        let mut part = || {
            parts
                .next()
                .filter(|part| !part.is_empty())
                .ok_or(AppError::Malformed)
        };
        let (id, key, master_key) = (part()?, part()?, part()?);
        let id = AppId::new(id).map_err(|_| AppError::InvalidId)?;
        if key == master_key {
            return Err(AppError::SameKeys(id));
        }
        Ok(Self {
            id,
            key: Secret::new(key),
            master_key: Secret::new(master_key),
        })
    }
}

impl Secret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// True if `presented` is the secret. The time of the comparison tells nothing but the lengths.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        same_secret(&self.0, presented)
    }

    /// The secret itself, to compute with.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// True if two secrets are the same; the comparison takes a time that tells nothing but their lengths.
fn same_secret(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credentials(text: &str) -> Result<Credentials, AppError> {
        text.parse()
    }

    #[test]
    fn an_app_is_given_as_id_key_and_master_key() {
        let app = credentials("myApp:myKey:myMaster:2").unwrap();
        assert_eq!(app.id.as_str(), "myApp");
        assert!(app.key.is("myKey") && !app.key.is("myKe") && !app.key.is(""));
        assert!(app.master_key.is("myMaster:2"));
        for text in ["", "a", "a:b", "a::c", ":b:c", "a:b:"] {
            assert_eq!(
                credentials(text).unwrap_err(),
                AppError::Malformed,
                "{text}"
            );
        }
    }

    #[test]
    fn a_master_key_that_every_client_has_is_refused() {
        assert!(matches!(
            credentials("a:same:same"),
            Err(AppError::SameKeys(_))
        ));
    }

    #[test]
    fn keys_are_never_shown() {
        let shown = format!("{:?}", credentials("myApp:hidden1:hidden2").unwrap());
        assert!(
            shown.contains("myApp") && !shown.contains("hidden"),
            "{shown}"
        );
    }

    #[test]
    fn an_app_given_twice_and_settings_of_no_app_are_told() {
        let apps = |texts: &[&str], settings: &[&str]| {
            let settings = settings
                .iter()
                .map(|id| ((*id).to_owned(), Settings::default()))
                .collect();
            Apps::new(
                texts.iter().map(|text| credentials(text).unwrap()),
                settings,
            )
        };
        assert!(
            apps(&["a:b:c", "d:e:f"], &["d"])
                .unwrap()
                .find("d")
                .is_some()
        );
        assert!(apps(&["a:b:c"], &[]).unwrap().find("x").is_none());
        assert!(matches!(
            apps(&["a:b:c", "a:d:e"], &[]),
            Err(AppError::Twice(_))
        ));
        assert_eq!(
            apps(&["a:b:c"], &["x"]).unwrap_err(),
            AppError::UnknownApp("x".to_owned())
        );
    }

    proptest! {
        #[test]
        fn any_text_is_credentials_or_an_error(text in "(?s).{0,40}") {
            let _ = credentials(&text);
        }
    }
}

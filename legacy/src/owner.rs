//! The owner of a cache, from the names of the file and of its folders.

use std::fmt::Write as _;
use std::path::Path;

use md5::{Digest as _, Md5};

use crate::facts::Kind;
use crate::{LegacyError, Source};

/// The start of the names of the Java SDK's files; the client's id follows.
const JAVA_PREFIX: &str = "com.avos.avoscloud.im.v2.";

/// Checks that names do not contradict the caller, and answers if they prove the app. A file in another place
/// proves nothing.
pub(crate) fn check(source: &Source<'_>, kind: Option<Kind>) -> Result<bool, LegacyError> {
    let path = source.path;
    let contradicts = |said: Option<&str>, expected: &str| said.is_some_and(|it| it != expected);
    match kind {
        Some(Kind::Swift) => {
            // <hash of the app>/IM/<hash of the client>/database.sqlite
            let client = name(path.parent()).filter(|name| is_hash(name));
            if contradicts(client, &hash(source.client)) {
                return Err(LegacyError::OtherClient);
            }
            let app = name(path.ancestors().nth(3)).filter(|name| is_hash(name));
            if contradicts(app, &hash(source.app)) {
                return Err(LegacyError::OtherApp);
            }
            return Ok(app.is_some());
        }
        Some(Kind::ObjectiveC) => {
            let is_at_home = name(path.parent()) == Some("MessageCache");
            let client = name(Some(path)).filter(|_| is_at_home);
            if contradicts(client, source.client) {
                return Err(LegacyError::OtherClient);
            }
        }
        Some(Kind::Java) => {
            let client = name(Some(path)).and_then(|name| name.strip_prefix(JAVA_PREFIX));
            if contradicts(client, source.client) {
                return Err(LegacyError::OtherClient);
            }
        }
        None => {}
    }
    Ok(false)
}

fn name(path: Option<&Path>) -> Option<&str> {
    path?.file_name()?.to_str()
}

fn is_hash(name: &str) -> bool {
    let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    name.len() == 32 && name.bytes().all(is_digit)
}

/// The MD5 of a text in lower-case hexadecimal digits.
pub(crate) fn hash(text: &str) -> String {
    digits(&Md5::digest(text))
}

pub(crate) fn digits(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: Kind, path: &str) -> Result<bool, LegacyError> {
        let source = Source {
            path: Path::new(path),
            scratch: Path::new(""),
            client: "ann",
            app: "my-app",
        };
        check(&source, Some(kind))
    }

    #[test]
    fn a_name_of_another_client_or_app_is_refused_and_one_that_says_nothing_is_not() {
        let (app, ann, ben) = (hash("my-app"), hash("ann"), hash("ben"));
        let swift = |app: &str, client: &str| {
            outcome(
                Kind::Swift,
                &format!("/x/{app}/IM/{client}/database.sqlite"),
            )
        };
        assert!(swift(&app, &ann).unwrap(), "the folder proves the app");
        assert!(matches!(swift(&app, &ben), Err(LegacyError::OtherClient)));
        assert!(matches!(swift(&ben, &ann), Err(LegacyError::OtherApp)));
        assert!(!outcome(Kind::Swift, "/x/copy.sqlite").unwrap());

        assert!(outcome(Kind::ObjectiveC, "/c/MessageCache/ann").is_ok());
        let other = outcome(Kind::ObjectiveC, "/c/MessageCache/ben");
        assert!(matches!(other, Err(LegacyError::OtherClient)));
        assert!(outcome(Kind::ObjectiveC, "/x/copy").is_ok());

        assert!(outcome(Kind::Java, "/d/com.avos.avoscloud.im.v2.ann").is_ok());
        let other = outcome(Kind::Java, "/d/com.avos.avoscloud.im.v2.ben");
        assert!(matches!(other, Err(LegacyError::OtherClient)));
    }
}

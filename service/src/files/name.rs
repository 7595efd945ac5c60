//! Ids of files, and the names under which they are stored.
//!
//! A name is made of numbers alone. A name contains no text of a client, so it cannot lead out of the store.

use std::fmt;

use sampan::model::AppId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The id of a file: 24 hexadecimal digits. Nobody guesses an id, and anyone who knows it may read the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct FileId([u8; 12]);

/// A text that is no id or name of the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the lower-case hexadecimal digits that were expected")]
pub struct NotHex;

impl FileId {
    /// The id of these bytes, which must be random.
    #[must_use]
    pub const fn from_random(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Reads 24 lower-case digits.
    ///
    /// # Errors
    ///
    /// `NotHex` for any other text.
    pub fn parse(text: &str) -> Result<Self, NotHex> {
        digits(text).map(Self)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_digits(&self.0, f)
    }
}

impl From<FileId> for String {
    fn from(id: FileId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for FileId {
    type Error = NotHex;

    fn try_from(text: String) -> Result<Self, NotHex> {
        Self::parse(&text)
    }
}

/// An app as files know it: the beginning of a digest over its id, 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AppFolder([u8; 16]);

impl AppFolder {
    /// The folder of an app.
    #[must_use]
    pub fn of(app: &AppId) -> Self {
        let digest: [u8; 32] = Sha256::digest(app.as_str()).into();
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// Reads 32 lower-case digits.
    ///
    /// # Errors
    ///
    /// `NotHex` for any other text.
    pub fn parse(text: &str) -> Result<Self, NotHex> {
        digits(text).map(Self)
    }
}

impl fmt::Display for AppFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_digits(&self.0, f)
    }
}

impl From<AppFolder> for String {
    fn from(folder: AppFolder) -> Self {
        folder.to_string()
    }
}

impl TryFrom<String> for AppFolder {
    type Error = NotHex;

    fn try_from(text: String) -> Result<Self, NotHex> {
        Self::parse(&text)
    }
}

/// Something stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName {
    /// The app.
    pub app: AppFolder,
    /// The file.
    pub file: FileId,
    /// The part of the file.
    pub part: Part,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The record of the file.
    Record,
    /// The bytes of one upload, by a random number.
    Bytes(u64),
}

impl BlobName {
    /// The folder and the file's name in it, both made of digits and a fixed ending. A folder holds the 256th
    /// part of an app's files.
    #[must_use]
    pub fn folder_and_file(&self) -> (String, String) {
        let Self { app, file, part } = self;
        let [first, ..] = file.0;
        let name = match part {
            Part::Record => format!("{file}.json"),
            Part::Bytes(number) => format!("{file}-{number:016x}.bytes"),
        };
        (format!("{app}/{first:02x}"), name)
    }
}

fn write_digits(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn digits<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotHex),
    };
    if text.len() != 2 * N {
        return Err(NotHex);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else {
            return Err(NotHex);
        };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_digits_of_an_id_are_an_id() {
        let id = FileId::from_random([0xab; 12]);
        assert_eq!(FileId::parse(&id.to_string()), Ok(id));
        let wrong = [
            "",
            "..",
            "../../../../../../../etc/pw",
            "ABABABABABABABABABABABAB",
            "abababababababababababa",
            "ababababababababababab/a",
            "abababababababababababé",
            "ababababababababababababab",
        ];
        for text in wrong {
            assert_eq!(FileId::parse(text), Err(NotHex), "{text}");
        }
    }

    #[test]
    fn a_stored_name_is_digits_whatever_the_app_is_called() {
        let app = AppFolder::of(&AppId::new("../../etc").unwrap());
        let file = FileId::from_random([0x0f; 12]);
        for part in [Part::Record, Part::Bytes(u64::MAX)] {
            let (folder, name) = BlobName { app, file, part }.folder_and_file();
            assert_eq!(folder, format!("{app}/0f"));
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let (stem, _) = name.split_once('.').unwrap();
            assert!(stem.chars().all(allowed), "{name}");
        }
    }
}

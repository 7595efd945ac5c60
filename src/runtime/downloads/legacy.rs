//! The files that an older SDK downloaded: a download finds such a file before it asks the host, which may be gone
//! for good.
//!
//! | SDK | folder | name of a file |
//! |---|---|---|
//! | Objective-C | `Library/Caches/com.leancloud.caches/Files` | the file's object id, with or without an ending |
//! | Android, Java | `<first 8 letters of the app id>avfile` in the cache folder | MD5 of the URL, in hex |

use std::fs;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use super::writing::{checksum_of, hex, sum_of};
use crate::model::MediaFile;

/// The file of a message in one of the folders. A file that has another size or checksum than the message says is
/// passed over, as is a file that cannot be read.
pub(super) fn find(folders: &[PathBuf], file: &MediaFile) -> Option<PathBuf> {
    let names = names(file);
    let paths = folders
        .iter()
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    paths.into_iter().find(|path| is_it(path, file))
}

/// The names under which the older SDKs kept a file.
fn names(file: &MediaFile) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(id) = file.object_id.as_deref().filter(|id| is_plain(id)) {
        let path = file.url.split(['?', '#']).next().unwrap_or_default();
        let endings = [
            ending(file.name.as_deref().unwrap_or_default()),
            ending(path),
            file.format.as_deref(),
        ];
        names.push(id.to_owned());
        let endings = endings.into_iter().flatten().filter(|it| is_plain(it));
        names.extend(endings.map(|ending| format!("{id}.{ending}")));
    }
    names.push(hex(&Md5::digest(file.url.as_bytes())));
    names
}

/// True for a word that leads to no other folder.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn ending(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, ending)| ending)
}

/// True if the file at a path can be the file of a message.
fn is_it(path: &Path, file: &MediaFile) -> bool {
    let Ok(found) = fs::metadata(path) else {
        return false;
    };
    let has_size = file.size.is_none_or(|size| size == found.len());
    let has_sum = || {
        let checksum = checksum_of(file);
        checksum.is_none_or(|sum| sum_of(path, None).is_ok_and(|it| it.eq_ignore_ascii_case(&sum)))
    };
    found.is_file() && has_size && has_sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Json;

    fn file(id: &str, url: &str) -> MediaFile {
        MediaFile {
            object_id: Some(id.to_owned()),
            ..MediaFile::at(url)
        }
    }

    #[test]
    fn a_file_has_the_names_that_the_older_sdks_gave_it() {
        let url = "https://files.example.org/ab/cat.jpeg?x=a.b/c";
        let file = MediaFile {
            name: Some("Cat.PNG".to_owned()),
            ..file("5f1", url)
        };
        let names = names(&file);
        assert_eq!(names[..3], ["5f1", "5f1.PNG", "5f1.jpeg"]);
        assert_eq!(names[3], hex(&Md5::digest(url.as_bytes())));
        assert_eq!((names.len(), names[3].len()), (4, 32));
    }

    #[test]
    fn no_id_and_no_ending_leads_out_of_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("files");
        fs::create_dir(&inner).unwrap();
        fs::write(root.path().join("secret"), "x").unwrap();
        fs::write(inner.join("a"), "x").unwrap();
        for id in ["../secret", "", ".", "..", "/etc/passwd", "a/../../secret"] {
            assert_eq!(
                find(std::slice::from_ref(&inner), &file(id, "u")),
                None,
                "{id}"
            );
        }
        let odd = MediaFile {
            name: Some("x./../../secret".to_owned()),
            ..file("b", "u")
        };
        assert_eq!(find(&[inner], &odd), None);
    }

    #[test]
    fn a_folder_of_the_name_a_missing_folder_and_another_size_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["none", "one", "two", "three"].map(|name| root.path().join(name));
        for folder in &folders[1..] {
            fs::create_dir(folder).unwrap();
        }
        fs::create_dir(folders[1].join("5f1")).unwrap();
        fs::write(folders[2].join("5f1"), "half").unwrap();
        fs::write(folders[3].join("5f1"), "whole").unwrap();
        let file = MediaFile {
            size: Some(5),
            ..file("5f1", "u")
        };
        assert_eq!(find(&folders, &file), Some(folders[3].join("5f1")));
    }

    #[test]
    fn a_file_with_another_checksum_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("5f1"), "whole").unwrap();
        let folders = [folder.path().to_owned()];
        let with_sum = |content: &str| {
            let sum = hex(&Md5::digest(content)).to_uppercase();
            let extra = serde_json::json!({ "metaData": { "_checksum": sum } });
            MediaFile {
                extra: Some(Json::parse(extra.to_string()).unwrap()),
                ..file("5f1", "u")
            }
        };
        assert_eq!(find(&folders, &with_sum("other")), None);
        assert!(find(&folders, &with_sum("whole")).is_some());
    }
}

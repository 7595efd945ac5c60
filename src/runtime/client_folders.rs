//! The folders of clients under the store root, and which clients they belong to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::model::{AppId, ClientId};

/// The file that names the client of a folder. An encrypted store has none: the name is a secret
/// there.
const ACCOUNT_FILE: &str = "account.json";

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct AccountRecord {
    app: String,
    client: String,
}

/// The folder of a client's store: a hash, so that any id makes a legal name of bounded length.
pub(super) fn folder(root: &Path, app: &AppId, client: &ClientId) -> PathBuf {
    let mut hash = Sha1::new();
    hash.update(app.as_str());
    // No id holds this byte at an end that matters: ids are text, and the app's comes first.
    hash.update([0]);
    hash.update(client.as_str());
    let name: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    root.join(name)
}

/// Writes down whose store a folder holds.
pub(super) fn remember(folder: &Path, app: &AppId, client: &ClientId) -> io::Result<()> {
    let path = folder.join(ACCOUNT_FILE);
    if path.exists() {
        return Ok(());
    }
    let record = AccountRecord {
        app: app.as_str().to_owned(),
        client: client.as_str().to_owned(),
    };
    let unfinished = folder.join(format!("{ACCOUNT_FILE}.new"));
    fs::write(&unfinished, serde_json::to_vec(&record)?)?;
    fs::rename(unfinished, path)
}

/// The clients of an app that have a folder under the root, in order. What can't be read is no
/// account; a root that is not there holds none.
pub(super) fn list(root: &Path, app: &AppId) -> Vec<ClientId> {
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    let mut clients: Vec<_> = entries
        .filter_map(|entry| read(&entry.ok()?.path().join(ACCOUNT_FILE)))
        .filter(|record| record.app == app.as_str())
        .filter_map(|record| ClientId::new(record.client).ok())
        .collect();
    clients.sort();
    clients
}

fn read(path: &Path) -> Option<AccountRecord> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Removes a client's folder with everything in it.
pub(super) fn wipe(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_those_of_the_app_and_a_wiped_one_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let (app, other) = (AppId::new("app").unwrap(), AppId::new("other").unwrap());
        let [ann, ben] = ["ann", "../ben/😀"].map(|id| ClientId::new(id).unwrap());
        for (app, client) in [(&app, &ann), (&app, &ben), (&other, &ann)] {
            let folder = folder(root.path(), app, client);
            fs::create_dir_all(&folder).unwrap();
            remember(&folder, app, client).unwrap();
        }
        fs::create_dir(root.path().join("not an account")).unwrap();
        assert_eq!(list(root.path(), &app), [ben.clone(), ann.clone()]);
        wipe(&folder(root.path(), &app, &ben)).unwrap();
        assert_eq!(list(root.path(), &app), [ann]);
    }
}

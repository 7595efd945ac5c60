//! The folders of clients under the store root, and the client of each folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::model::{Account, AppId, ClientId, Count};
use crate::store::StoreFolder;

/// The file that names the client of a folder. An encrypted store has none: the name is a secret
/// there.
const ACCOUNT_FILE: &str = "account.json";

/// The content of the account file.
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

/// The stores under a root that may belong to an app: those that name the app, and encrypted ones, which name
/// none. In order of their clients, the encrypted ones last. A missing root holds no store.
pub(super) fn accounts(root: &Path, app: &AppId) -> Vec<Account> {
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    let mut accounts: Vec<_> = entries
        .filter_map(|entry| account(&entry.ok()?, app))
        .collect();
    accounts.sort_by(|a, b| {
        let key = |it: &Account| (it.client.is_none(), it.client.clone(), it.folder.clone());
        key(a).cmp(&key(b))
    });
    accounts
}

fn account(entry: &fs::DirEntry, app: &AppId) -> Option<Account> {
    let folder = entry.file_name().into_string().ok()?;
    if !is_name(&folder) {
        return None;
    }
    let found = StoreFolder::look(&entry.path());
    let record = read(&entry.path().join(ACCOUNT_FILE));
    let client = match record {
        Some(record) if record.app != app.as_str() => return None,
        Some(record) => ClientId::new(record.client).ok(),
        None => None,
    };
    let found = match (found, &client) {
        (Some(found), _) => found,
        // The store is damaged, and the folder still says whose store it is.
        (None, Some(_)) => StoreFolder {
            is_encrypted: false,
            bytes: 0,
            unsent: None,
        },
        (None, None) => return None,
    };
    Some(Account {
        folder,
        client,
        is_encrypted: found.is_encrypted,
        bytes: found.bytes,
        unsent: found.unsent.map(Count::from),
    })
}

/// True if a text may be the name of a client's folder.
pub(super) fn is_name(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
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
        let list = || {
            let accounts = accounts(root.path(), &app).into_iter();
            accounts.filter_map(|it| it.client).collect::<Vec<_>>()
        };
        assert_eq!(list(), [ben.clone(), ann.clone()]);
        wipe(&folder(root.path(), &app, &ben)).unwrap();
        assert_eq!(list(), [ann]);
    }
}

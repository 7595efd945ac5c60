//! The owner of a folder's files: the identity that is the store's, and the files of other stores.
//!
//! Backups and people lose files, damage files, and mix in files of another store. An identity alone is not
//! proof: the records must agree, because the number in their frames names their store. Files of another
//! store are set aside, never overwritten.

use std::fs;
use std::io;
use std::path::Path;

use crate::model::Timestamp;
use crate::store::disk::identity::{IDENTITY_FILES, Identity};
use crate::store::disk::lock::LOCK_FILE;
use crate::store::disk::{Disk, is_absent};
use crate::store::error::StoreError;
use crate::store::format::frame;
use crate::store::format::record::SCHEMA;
use crate::store::journal::reader::JOURNAL_FILES;
use crate::store::recovery::aside::set_aside;
use crate::store::recovery::options::StoreOptions;
use crate::store::recovery::rebuild::UNFINISHED_FILE;
use crate::store::recovery::recover::PROBE_FILE;
use crate::store::recovery::report::OpenReport;
use crate::store::recovery::scan::store_of_folder;
use crate::store::tree::sled::TREE_FOLDER;

/// An identity, and whether the folder knows it.
pub(crate) struct Identified {
    pub(crate) identity: Identity,
    /// The reason why the folder does not hold it, if it does not.
    pub(crate) unwritten: Option<StoreError>,
}

/// Finds the store's identity, or makes one.
///
/// # Errors
///
/// [`StoreError::TooNew`], and [`StoreError::Io`] when a file can't be read now: it may be readable
/// again, so nothing is made in its place. Nothing was touched then.
pub(crate) fn identify(
    disk: &dyn Disk,
    options: &StoreOptions,
    report: &mut OpenReport,
) -> Result<Identified, StoreError> {
    let key = options.key.as_ref();
    let unread = |error| StoreError::io("reading the identity", &error);
    let copies = Identity::copies(disk).map_err(unread)?;
    let own = number(disk, &options.folder, &copies).map_err(unread)?;
    let is_own = |copy: &Identity| own.is_none_or(|own| own == copy.store);
    let found = copies.iter().map(|(_, copy)| copy);
    let found = found.clone().find(|copy| is_own(copy)).cloned();
    if let Some(found) = &found
        && found.schema > SCHEMA
    {
        return Err(StoreError::TooNew {
            found: found.schema,
            supported: SCHEMA,
        });
    }
    let strangers = copies.iter().filter(|(_, copy)| match &found {
        Some(found) => copy.store != found.store,
        None => true,
    });
    for (name, _) in strangers {
        set_aside(disk, name, options.now, report);
    }
    if let Some(identity) = found {
        let unwritten = identity.clone().restore(disk).err();
        return Ok(Identified {
            identity,
            unwritten,
        });
    }
    // Lost with both copies, or never made: encrypted records are lost with the identity, the others tell
    // their own number.
    let store = own.filter(|_| key.is_none());
    if store.is_none() && has_records(disk, &options.folder).map_err(unread)? {
        for name in [TREE_FOLDER].into_iter().chain(JOURNAL_FILES) {
            set_aside(disk, name, options.now, report);
        }
    }
    let mut identity = Identity::new(store, SCHEMA, key)?;
    let unwritten = identity.write(disk).err();
    Ok(Identified {
        identity,
        unwritten,
    })
}

/// Makes sure that the folder holds an identity before something is written to the folder.
///
/// # Errors
///
/// [`StoreError::Io`] when it cannot be written, or the folder holds another one.
pub(crate) fn confirm_identity(disk: &dyn Disk, identity: &mut Identity) -> Result<(), StoreError> {
    let copies = Identity::copies(disk);
    let copies = copies.map_err(|error| StoreError::io("reading the identity", &error))?;
    match copies.first() {
        None => identity.write(disk),
        Some(_) if copies.iter().any(|(_, copy)| copy.store == identity.store) => Ok(()),
        Some(_) => Err(StoreError::device(
            "reading the identity",
            "the folder holds another store now: it must be opened anew",
        )),
    }
}

/// The number of the store whose records the folder holds; none when it holds none.
fn number(
    disk: &dyn Disk,
    folder: &Path,
    copies: &[(&'static str, Identity)],
) -> io::Result<Option<u64>> {
    let mut voices: Vec<u64> = Vec::new();
    for name in JOURNAL_FILES {
        voices.extend(disk.read(name)?.and_then(|bytes| first_voice(&bytes)));
    }
    if let Some((_, newest)) = copies.first()
        && !voices.is_empty()
        && voices.iter().all(|voice| *voice == newest.store)
    {
        return Ok(Some(newest.store));
    }
    // The tree's number has precedence: the tree holds more than a journal, and more would be lost with it. Of
    // the numbers of two journals the one of an identity has precedence.
    let of_tree = store_of_folder(&folder.join(TREE_FOLDER))?;
    Ok(of_tree.or_else(|| {
        let is_known = |voice: &&u64| copies.iter().any(|(_, copy)| copy.store == **voice);
        voices
            .iter()
            .find(is_known)
            .or_else(|| voices.first())
            .copied()
    }))
}

/// The store's number in the first whole frame of a file.
fn first_voice(bytes: &[u8]) -> Option<u64> {
    let mut rest = bytes;
    loop {
        rest = rest.get(frame::find_magic(rest)?..)?;
        if let Some(store) = frame::store_of(rest) {
            return Some(store);
        }
        rest = rest.get(1..)?;
    }
}

/// True if the folder holds a tree, or a file of the journal.
fn has_records(disk: &dyn Disk, folder: &Path) -> io::Result<bool> {
    for name in JOURNAL_FILES {
        if disk.read(name)?.is_some() {
            return Ok(true);
        }
    }
    match folder.join(TREE_FOLDER).try_exists() {
        Err(error) if is_absent(&error) => Ok(false),
        found => found,
    }
}

/// Sets folders aside that stand where files of the store belong.
pub(crate) fn clear_names(folder: &Path, disk: &dyn Disk, now: Timestamp, report: &mut OpenReport) {
    let own = [LOCK_FILE, PROBE_FILE, UNFINISHED_FILE];
    for name in own.into_iter().chain(IDENTITY_FILES).chain(JOURNAL_FILES) {
        for name in [name.to_owned(), format!("{name}.new")] {
            if fs::symlink_metadata(folder.join(&name)).is_ok_and(|found| found.is_dir()) {
                set_aside(disk, &name, now, report);
            }
        }
    }
}

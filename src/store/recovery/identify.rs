//! Whose the files of a folder are: which identity is the store's, and what is in the way.
//!
//! Files get lost, damaged, and mixed up with those of another store by backups and by hand. An
//! identity alone is believed only as far as the records agree: the number in their frames says
//! whose they are. What turns out to be another store's is set aside, never overwritten.

use std::fs;
use std::path::Path;

use crate::model::Timestamp;
use crate::store::disk::Disk;
use crate::store::disk::identity::{IDENTITY_FILES, Identity};
use crate::store::disk::lock::LOCK_FILE;
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
pub(crate) struct Claim {
    pub(crate) identity: Identity,
    /// Why the folder does not hold it, if it does not.
    pub(crate) unwritten: Option<StoreError>,
}

/// Finds the store's identity, or makes one.
///
/// # Errors
///
/// [`StoreError::TooNew`]; nothing was touched then.
pub(crate) fn claim(
    disk: &dyn Disk,
    options: &StoreOptions,
    report: &mut OpenReport,
) -> Result<Claim, StoreError> {
    let key = options.key.as_ref();
    let copies = match Identity::copies(disk) {
        Ok(copies) => copies,
        // It may be readable again: nothing is made in its place, and nothing is written.
        Err(error) => {
            return Ok(Claim {
                identity: Identity::new(None, SCHEMA, key)?,
                unwritten: Some(StoreError::io("reading the identity", &error)),
            });
        }
    };
    let own = number(disk, &options.folder, &copies);
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
        return Ok(Claim {
            identity,
            unwritten,
        });
    }
    // Lost with both copies, or never made: what is encrypted is lost with it, the rest tells its
    // own number.
    let store = own.filter(|_| key.is_none());
    if store.is_none() && (options.folder.join(TREE_FOLDER).exists() || has_journal(disk)) {
        for name in [TREE_FOLDER].into_iter().chain(JOURNAL_FILES) {
            set_aside(disk, name, options.now, report);
        }
    }
    let mut identity = Identity::new(store, SCHEMA, key)?;
    let unwritten = identity.write(disk).err();
    Ok(Claim {
        identity,
        unwritten,
    })
}

/// Makes sure that the folder holds an identity with which somebody is about to write to it.
///
/// # Errors
///
/// [`StoreError::Io`] when it cannot be written, or the folder holds another one.
pub(crate) fn confirm(disk: &dyn Disk, identity: &mut Identity) -> Result<(), StoreError> {
    let copies = Identity::copies(disk);
    let copies = copies.map_err(|error| StoreError::io("reading the identity", &error))?;
    match copies.first() {
        None => identity.write(disk),
        Some(_) if copies.iter().any(|(_, copy)| copy.store == identity.store) => Ok(()),
        Some(_) => Err(StoreError::Io {
            during: "reading the identity",
            reason: "it could not be read before: the store must be opened anew".to_owned(),
        }),
    }
}

/// The number of the store whose records the folder holds; none when it holds none.
fn number(disk: &dyn Disk, folder: &Path, copies: &[(&'static str, Identity)]) -> Option<u64> {
    let voices: Vec<u64> = JOURNAL_FILES
        .iter()
        .filter_map(|name| first_voice(&disk.read(name).ok()??))
        .collect();
    if let Some((_, newest)) = copies.first()
        && !voices.is_empty()
        && voices.iter().all(|voice| *voice == newest.store)
    {
        return Some(newest.store);
    }
    // The tree's word first: it holds more than a journal, and more would be lost with it. Of two
    // journals' words the one that is an identity's.
    store_of_folder(&folder.join(TREE_FOLDER)).or_else(|| {
        let is_known = |voice: &&u64| copies.iter().any(|(_, copy)| copy.store == **voice);
        voices
            .iter()
            .find(is_known)
            .or_else(|| voices.first())
            .copied()
    })
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

fn has_journal(disk: &dyn Disk) -> bool {
    JOURNAL_FILES
        .iter()
        .any(|name| matches!(disk.read(name), Ok(Some(_))))
}

/// Sets folders aside that stand where files of the store belong.
pub(crate) fn make_way(folder: &Path, disk: &dyn Disk, now: Timestamp, report: &mut OpenReport) {
    let own = [LOCK_FILE, PROBE_FILE, UNFINISHED_FILE];
    for name in own.into_iter().chain(IDENTITY_FILES).chain(JOURNAL_FILES) {
        for name in [name.to_owned(), format!("{name}.new")] {
            if fs::symlink_metadata(folder.join(&name)).is_ok_and(|found| found.is_dir()) {
                set_aside(disk, &name, now, report);
            }
        }
    }
}

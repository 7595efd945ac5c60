//! The content of a folder, for debugging: numbers and sizes, never the texts of people.
//!
//! The inspection locks nothing and writes nothing in the folder: it opens a copy of the tree elsewhere. If
//! the tree does not open, a raw scan counts its whole records. In an encrypted store without its key, the
//! headers of frames give the counts.

pub(super) mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::store::disk::identity::Identity;
use crate::store::disk::lock::LOCK_FILE;
use crate::store::disk::{Disk, RealDisk};
use crate::store::error::StoreError;
use crate::store::format::cipher::StoreKey;
use crate::store::format::codec::Codec;
use crate::store::format::frame::WholeFrame;
use crate::store::format::record::SCHEMA;
use crate::store::inspect::tree::TreeFound;
use crate::store::journal::reader::{JOURNAL_FILES, JournalContent, RecordKind};
use crate::store::recovery::scan::{files, store_of_folder, walk};
use crate::store::tree::sled::TREE_FOLDER;

/// The content of a store's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The faults, a sentence each; none when all is well.
    pub problems: Vec<String>,
    /// The process that opened the store last, if it left its number.
    pub last_holder: Option<u32>,
    /// The identity of the store.
    pub identity: IdentityFound,
    /// The journal of intents.
    pub journal: JournalFound,
    /// The tree.
    pub tree: TreeFound,
    /// The files that were set aside as damaged: name and bytes.
    pub set_aside: Vec<(String, u64)>,
    /// Everything in the folder: name and bytes.
    pub files: Vec<(String, u64)>,
}

/// The identity of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IdentityFound {
    /// The number of whole copies among the two.
    pub whole_copies: usize,
    /// The store's random number, in hexadecimal; out of the frames if both copies are lost.
    pub store: Option<String>,
    /// The schema.
    pub schema: Option<u32>,
    /// True if payloads are encrypted.
    pub is_encrypted: bool,
    /// True if payloads can be read here.
    pub is_readable: bool,
}

/// The content of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JournalFound {
    /// The generation that rules.
    pub generation: u64,
    /// The records of that generation, by kind.
    pub records: BTreeMap<&'static str, u64>,
    /// The newest commit that a record names.
    pub seq: u64,
    /// Intents that the tree has not seen: the next open replays them.
    pub not_in_tree: u64,
    /// Unsettled entries, by the journal alone; none where they can't be read.
    pub unsettled: Option<u64>,
    /// Places that begin like a record and are none any more.
    pub broken: u64,
}

/// Looks into a store's folder. Parts that cannot be read are left out and named in `problems`; of a store
/// that is open meanwhile, the figures may be some commits old.
///
/// # Errors
///
/// [`StoreError::Io`] when the folder cannot be listed.
pub fn inspect(folder: &Path, key: Option<&StoreKey>) -> Result<Inspection, StoreError> {
    let disk = RealDisk::new(folder);
    let names = disk
        .list()
        .map_err(|error| StoreError::io("listing the folder", &error))?;
    let mut found = Inspection::default();
    for name in names {
        let path = folder.join(&name);
        let own = if path.is_dir() {
            let sizes = files(&path)
                .unwrap_or_default()
                .into_iter()
                .map(|path| size(&path));
            sizes.fold(0, u64::saturating_add)
        } else {
            size(&path)
        };
        if name.contains(".bad-") {
            found.set_aside.push((name.clone(), own));
        }
        found.files.push((name, own));
    }
    found.last_holder = fs::read_to_string(folder.join(LOCK_FILE))
        .ok()
        .and_then(|pid| pid.trim().parse().ok());
    let codec = found.identify(&disk, folder, key);
    found.tree = tree::look_at(&folder.join(TREE_FOLDER), &codec);
    found.read_journal(&disk, folder, &codec);
    found.judge();
    Ok(found)
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

impl Inspection {
    /// Reads the identity; answers the codec for the frames.
    fn identify(&mut self, disk: &RealDisk, folder: &Path, key: Option<&StoreKey>) -> Codec {
        let identity = Identity::read(disk).ok().flatten();
        let store = identity.as_ref().map(|identity| identity.store);
        let store = store.or_else(|| store_of_folder(folder).ok().flatten());
        let codec = identity.as_ref().map(|identity| identity.codec(key));
        let found = &mut self.identity;
        found.whole_copies = identity.as_ref().map_or(0, |it| it.whole_copies(disk));
        found.store = store.map(|store| format!("{store:016x}"));
        found.schema = identity.as_ref().map(|identity| identity.schema);
        found.is_encrypted = identity.as_ref().is_some_and(Identity::is_encrypted);
        match codec {
            Some(Ok(codec)) => {
                found.is_readable = true;
                codec
            }
            other => {
                if matches!(other, Some(Err(_))) && key.is_some() {
                    self.problems
                        .push("The key is not this store's.".to_owned());
                }
                found.is_readable = !found.is_encrypted && store.is_some();
                Codec::new(store.unwrap_or_default(), None)
            }
        }
    }

    fn read_journal(&mut self, disk: &RealDisk, folder: &Path, codec: &Codec) {
        let mut heads = Vec::new();
        let found = &mut self.journal;
        for name in JOURNAL_FILES {
            let Ok(mut file) = fs::File::open(folder.join(name)) else {
                continue;
            };
            let mut unreadable = 0;
            // The visitor below gives no error.
            let _ = walk(&mut file, &mut unreadable, &mut |rest| {
                Ok(match WholeFrame::first(rest) {
                    Ok(whole) => {
                        heads.extend(head(&whole, codec));
                        whole.length()
                    }
                    Err(_) => {
                        found.broken += 1;
                        1
                    }
                })
            });
            found.broken += unreadable;
        }
        let generations = heads.iter().map(|(_, generation, _)| *generation);
        found.generation = generations.max().unwrap_or(0);
        for (kind, generation, seq) in heads {
            if generation != found.generation {
                continue;
            }
            let count = found.records.entry(kind.name()).or_default();
            *count += 1;
            found.seq = found.seq.max(seq);
            if matches!(kind, RecordKind::Intent | RecordKind::Apart)
                && self.tree.seq.is_some_and(|tree| seq > tree)
            {
                found.not_in_tree += 1;
            }
        }
        if self.identity.is_readable {
            let image = JournalContent::read(disk, codec)
                .unwrap_or_default()
                .image();
            found.unsettled = u64::try_from(image.len()).ok();
        }
    }

    /// Judges the findings, and reports the faults.
    fn judge(&mut self) {
        let mut wrong = |sentence: String| self.problems.push(sentence);
        match self.identity.whole_copies {
            0 => wrong("Both copies of the identity are lost.".to_owned()),
            1 => wrong("One of the two copies of the identity is lost or older.".to_owned()),
            _ => {}
        }
        if self.identity.schema.is_some_and(|schema| schema > SCHEMA) {
            wrong("A newer version of Sampan wrote this store.".to_owned());
        }
        if self.journal.records.is_empty() {
            wrong("There is no journal.".to_owned());
        }
        if self.journal.broken > 0 {
            let broken = self.journal.broken;
            wrong(format!("{broken} records of the journal are broken."));
        }
        if let Some(reason) = &self.tree.refusal {
            wrong(format!("The tree does not open: {reason}."));
        }
        if self.tree.damaged > 0 {
            wrong(format!(
                "{} values of the tree are damaged.",
                self.tree.damaged
            ));
        }
        let last = self.journal.seq.saturating_sub(self.journal.not_in_tree);
        if self.tree.seq.is_some_and(|tree| last > tree) {
            wrong("The tree is older than the journal says.".to_owned());
        }
        if !self.set_aside.is_empty() {
            let many = self.set_aside.len();
            wrong(format!(
                "{many} damaged files or folders were set aside earlier."
            ));
        }
    }
}

/// The kind, the generation and the commit in the header of a journal's record; none for a value inside of another
/// record.
fn head(whole: &WholeFrame<'_>, codec: &Codec) -> Option<(RecordKind, u64, u64)> {
    let (kind, generation) = whole.key.split_first()?;
    let generation = u64::from_be_bytes(generation.try_into().ok()?);
    let kind = RecordKind::of(*kind).filter(|_| whole.store == codec.store)?;
    Some((kind, generation, whole.seq))
}

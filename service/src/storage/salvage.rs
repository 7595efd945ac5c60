//! Checks whether data is whole, and saves the good rows of data that is not.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;

use sampan::model::{AppId, ConversationId};

use super::codec::decode;
use super::conversation::Head;
use super::data_file::{COMMIT_KEY, read_file};
use super::key::{self, Parts};
use super::keyed::{Changes, DAMAGED_ID, Keyed, Map as _, TakeRow};
use super::record::{Member, Token};
use super::redb::{RedbMap, RedbStorage};
use super::seal::unseal;
use super::{BackupError, Order, StorageError, message};
use crate::files::copy;

/// The result of looking through data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Rows that are good.
    pub rows: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// True if the rows have checksums of the service's own. Data of an earlier build has none: a change in it
    /// is noticed only where it makes no sense any more.
    pub has_checksums: bool,
    /// The clients' files, which agree with their records.
    pub files: u64,
}

/// The rows saved out of damaged data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Rows that were saved.
    pub rows: u64,
    /// True if the data was whole, so that it was only copied.
    pub was_whole: bool,
    /// Rows that had to be read from the pages of the file, past the database. Some may have been
    /// deleted before: a page that is free still has its old rows.
    pub from_pages: u64,
    /// Rows by which others are found, made anew.
    pub made_anew: u64,
    /// Rows that were whole but say nothing that this build understands; they are left out.
    pub left_out: u64,
    /// The clients' files and their records, which come along as they are.
    pub files: u64,
}

/// Rows that share a commit of the copy.
const ROWS_AT_ONCE: usize = 10_000;

/// Pages of the database begin at multiples of this.
const PAGE_BYTES: usize = 4096;

/// A page that begins a long leaf may be followed by so many bytes of it.
const LEAF_BYTES_MAX: usize = 1 << 20;

/// Bytes of the file that are in memory at a time, beside one leaf.
const WINDOW_BYTES: usize = 8 << 20;

/// Reads every row and every file of the data in a folder, without changing anything.
///
/// # Errors
///
/// [`StorageError::Damaged`] with the first fault of the rows; [`StorageError::NotClosed`] after a process that was
/// killed; [`BackupError::Files`] with the first file that does not agree with its record; otherwise the error of the
/// database.
pub fn check(folder: &Path) -> Result<Checked, BackupError> {
    let rows = check_rows(folder)?;
    let files = copy::check_records(folder)?;
    Ok(Checked { files, ..rows })
}

fn check_rows(folder: &Path) -> Result<Checked, StorageError> {
    let checked = guarded(|| {
        let rows = read_file(&RedbStorage::file_in(folder))?;
        let mut checked = Checked {
            rows: 0,
            bytes: 0,
            has_checksums: rows.has_checksums(),
            files: 0,
        };
        rows.each(&mut |key, value| {
            checked.rows += 1;
            checked.bytes += (key.len() + value.len()) as u64;
            Ok(())
        })?;
        Ok(checked)
    });
    match checked {
        Err(StorageError::Database(error)) if matches!(*error, ::redb::Error::RepairAborted) => {
            Err(StorageError::NotClosed)
        }
        other => other,
    }
}

/// Saves the good rows of the data in a folder into a new one. The old folder is not changed.
///
/// # Errors
///
/// [`BackupError::Occupied`] where the new folder has data; otherwise the error of the disk. Lost rows are no
/// error: the answer tells the saved ones.
pub fn salvage(from: &Path, into: &Path) -> Result<Salvaged, BackupError> {
    let (old, new) = (RedbStorage::file_in(from), RedbStorage::file_in(into));
    if new.exists() {
        return Err(BackupError::Occupied(into.to_owned()));
    }
    let rows = guarded(|| read_file(&old));
    if matches!(rows, Err(StorageError::InUse)) {
        return Err(StorageError::InUse.into());
    }
    let mut salvaged = Salvaged::default();
    let mut copy = Copy::into_folder(into)?;
    // The rows that the database still finds, in its order.
    let whole = guarded(|| rows?.each(&mut |key, value| copy.put(key, value)));
    salvaged.was_whole = match whole {
        Ok(()) => true,
        Err(StorageError::Database(_)) => {
            let repaired = Repaired::of(&old, into)?;
            guarded(|| repaired.each(&mut |key, value| copy.put(key, value))).is_ok()
        }
        Err(_) => false,
    };
    if !salvaged.was_whole {
        salvaged.from_pages = copy.put_pages(&old)?;
    }
    let files = copy::take_over(from, into)?;
    let mut storage = copy.finish()?;
    let (made_anew, left_out) = storage.make_whole()?;
    let rows = storage.count_rows()?;
    Ok(Salvaged {
        rows,
        made_anew,
        left_out,
        files,
        ..salvaged
    })
}

/// A copy of a database that its process did not close. Reading it needs a repair, which must not change the
/// old file. The copy is removed with the value.
struct Repaired(PathBuf);

impl Repaired {
    fn of(file: &Path, folder: &Path) -> Result<Self, StorageError> {
        let copy = Self(folder.join("repaired.part"));
        std::fs::copy(file, &copy.0)?;
        Ok(copy)
    }

    fn each(&self, take: &mut TakeRow<'_>) -> Result<(), StorageError> {
        RedbMap::open(&self.0)?.frozen()?.each(take)
    }
}

impl Drop for Repaired {
    fn drop(&mut self) {
        // The name of a copy that could not be removed tells that it is a copy.
        let _ = std::fs::remove_file(&self.0);
    }
}

thread_local! {
    /// True if a panic of this thread is expected, and told as an error in place of a backtrace.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a reader of a damaged database, which may panic on bytes that make no sense.
pub(super) fn guarded<T>(
    work: impl FnOnce() -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                usual(info);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.unwrap_or(Err(StorageError::Damaged {
        what: "the database cannot read a page",
    }))
}

/// The data that is being saved.
struct Copy {
    map: RedbMap,
    some: Changes,
}

impl Copy {
    fn into_folder(folder: &Path) -> Result<Self, StorageError> {
        std::fs::create_dir_all(folder)?;
        let map = RedbMap::open(&RedbStorage::file_in(folder))?;
        let some = Changes::new();
        Ok(Self { map, some })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.some.insert(key.to_vec(), Some(value.to_vec()));
        if self.some.len() < ROWS_AT_ONCE {
            return Ok(());
        }
        self.map.commit(std::mem::take(&mut self.some))
    }

    /// Puts every row in that a page of the file has whole, the newest of each. Answers how many.
    fn put_pages(&mut self, file: &Path) -> Result<u64, StorageError> {
        // A key by its hash and its length: a million rows must fit into memory.
        let hasher = RandomState::new();
        let place = |key: &[u8]| (hasher.hash_one(key), key.len());
        let mut newest: HashMap<_, u64> = HashMap::new();
        each_in_pages(file, &mut |key, _, commit| {
            let known = newest.entry(place(key)).or_default();
            *known = commit.max(*known);
            Ok(())
        })?;
        let mut put = 0;
        each_in_pages(file, &mut |key, value, commit| {
            // Once: the same row may be in several pages.
            if newest.get(&place(key)) == Some(&commit) {
                newest.remove(&place(key));
                put += 1;
                self.put(key, value)?;
            }
            Ok(())
        })?;
        Ok(put)
    }

    fn finish(mut self) -> Result<RedbStorage, StorageError> {
        self.map.commit(self.some)?;
        Keyed::open(self.map)
    }
}

/// Takes a row from a page: its key, its value, and the commit that wrote it.
type TakeCopy<'a> = dyn FnMut(&[u8], &[u8], u64) -> Result<(), StorageError> + 'a;

/// Goes through all pages of a file, past the database, and hands out the rows whose checksum is
/// right.
fn each_in_pages(file: &Path, take: &mut TakeCopy<'_>) -> Result<(), StorageError> {
    let mut file = File::open(file)?;
    let mut window = Vec::new();
    loop {
        let is_end = fill(&mut file, &mut window, WINDOW_BYTES + LEAF_BYTES_MAX)?;
        let mut at = 0;
        while at < WINDOW_BYTES && at < window.len() {
            let end = window.len().min(at + LEAF_BYTES_MAX);
            if let Some(page) = window.get(at..end) {
                each_of_leaf(page, take)?;
            }
            at += PAGE_BYTES;
        }
        if is_end && window.len() <= WINDOW_BYTES {
            return Ok(());
        }
        window.drain(..WINDOW_BYTES.min(window.len()));
    }
}

/// Reads until the window is so long; answers whether the file has ended.
fn fill(file: &mut File, window: &mut Vec<u8>, length: usize) -> io::Result<bool> {
    let missing = length.saturating_sub(window.len());
    let read = file.take(missing as u64).read_to_end(window)?;
    Ok(read < missing)
}

/// The rows of a leaf, in the form in which redb 4 writes it: a one, a byte, the number of rows, where
/// each key ends, where each value ends, the keys, the values. A page that is no leaf has no row whose checksum
/// is right.
fn each_of_leaf(page: &[u8], take: &mut TakeCopy<'_>) -> Result<(), StorageError> {
    let Some((&[1, _, low, high], _)) = page.split_first_chunk::<4>() else {
        return Ok(());
    };
    let rows = usize::from(u16::from_le_bytes([low, high]));
    let number = |index: usize| {
        let bytes = page.get(4 + 4 * index..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let mut key_from = 4 + 8 * rows;
    let Some(mut value_from) = rows.checked_sub(1).and_then(number) else {
        return Ok(());
    };
    for row in 0..rows {
        let (Some(key_to), Some(value_to)) = (number(row), number(rows + row)) else {
            return Ok(());
        };
        let (key, sealed) = (page.get(key_from..key_to), page.get(value_from..value_to));
        if let (Some(key), Some(sealed)) = (key, sealed)
            && key != COMMIT_KEY
            && let Ok((value, commit)) = unseal(key, sealed)
        {
            take(key, value, commit)?;
        }
        (key_from, value_from) = (key_to, value_to);
    }
    Ok(())
}

/// The tag of messages.
const MESSAGES: u8 = b'D';

/// Rows that are looked at together.
const LOOKED_AT: usize = 1_000;

impl RedbStorage {
    fn count_rows(&self) -> Result<u64, StorageError> {
        let mut rows = 0;
        self.frozen()?.each(&mut |_, _| {
            rows += 1;
            Ok(())
        })?;
        Ok(rows)
    }

    /// Makes the rows anew by which others are found, and drops rows that no build understands. Answers how
    /// many of each.
    fn make_whole(&mut self) -> Result<(u64, u64), StorageError> {
        let (mut made_anew, mut left_out) = (0, 0);
        for tag in *b"tvmD" {
            let mut from = vec![tag];
            loop {
                let rows = self.rows(&from, &[tag + 1], Order::OldestFirst, LOOKED_AT)?;
                let Some((last, _)) = rows.last() else { break };
                from = [last.as_slice(), &[0]].concat();
                for (row, value) in &rows {
                    match found_by(tag, row, value) {
                        Ok(missing) => {
                            for (key, value) in missing {
                                if self.get(&key)?.is_none() {
                                    self.put(key, value);
                                    made_anew += 1;
                                }
                            }
                        }
                        Err(_) => {
                            self.drop_bytes(row.clone());
                            left_out += 1;
                        }
                    }
                }
                self.commit_now()?;
            }
        }
        Ok((made_anew, left_out))
    }
}

/// The rows by which a row is found.
fn found_by(tag: u8, row: &[u8], value: &[u8]) -> Result<Vec<(key::Key, Vec<u8>)>, StorageError> {
    if tag == MESSAGES {
        return found_by_message(row, value);
    }
    let mut parts = Parts::after(row, 1)?;
    let app = AppId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
    let mut found = Vec::new();
    match tag {
        b't' => {
            let token: Token = decode(value)?;
            found.push((
                key::token_end(token.expires_at, &app, parts.rest()?),
                Vec::new(),
            ));
        }
        b'v' => {
            let id = ConversationId::new(parts.rest()?).map_err(|_| DAMAGED_ID)?;
            let head: Head = decode(value)?;
            if let Some(unique) = &head.unique_id {
                let id = id.as_str().as_bytes().to_vec();
                found.push((key::unique(&app, unique), id));
            }
            if let Some(ends) = head.expires_at {
                found.push((key::expiry(ends, &app, &id), Vec::new()));
            }
        }
        _ => {
            let id = ConversationId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            let member: Member = decode(value)?;
            found.push((key::membership(&app, &member.client, &id), Vec::new()));
        }
    }
    Ok(found)
}

fn found_by_message(row: &[u8], value: &[u8]) -> Result<Vec<(key::Key, Vec<u8>)>, StorageError> {
    let mut parts = Parts::after(row, 1)?;
    let app = AppId::new(&parts.short()?).map_err(|_| DAMAGED_ID)?;
    let id = ConversationId::new(&parts.short()?).map_err(|_| DAMAGED_ID)?;
    let message = message::message_of(message::place_in(parts)?, value)?;
    Ok(message::found_by(&app, &id, &message))
}

#[cfg(test)]
mod tests;

//! The content of a tree: a copy of the tree is opened and counted, or, if the copy does not open, its whole frames.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::conversation_value::Parts;
use crate::store::format::frame::{self, WholeFrame};
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::decode;
use crate::store::format::pack::{Form, FrameRank, Pack};
use crate::store::format::record::MetaRecord;
use crate::store::recovery::scan::{files, walk};
use crate::store::recovery::segment_check::look;
use crate::store::tree::sled::{DbOptions, SledKv};
use crate::store::tree::{Direction, Kv};

/// How many conversations are named.
const LARGEST: usize = 10;

/// How long the copy of a tree may take to open, and with how much memory.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// The content of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TreeFound {
    /// The reason why the tree does not open. Then the counts below are of the whole frames of a raw scan: of
    /// each key the newest, removed ones included.
    pub refusal: Option<String>,
    /// The last commit.
    pub seq: Option<u64>,
    /// The schema that its counters name.
    pub schema: Option<u32>,
    /// Records by kind.
    pub kinds: BTreeMap<&'static str, KindFound>,
    /// Messages; none where packs can't be read.
    pub messages: Option<u64>,
    /// The conversations whose messages take the most bytes, the largest first.
    pub largest: Vec<ConversationFound>,
    /// Values that are damaged.
    pub damaged: u64,
    /// The bytes of keys and values.
    pub live_bytes: u64,
    /// The bytes of the tree's files.
    pub file_bytes: u64,
    /// WholeFrame frames in the files, old versions included.
    pub frames: u64,
    /// Places in the files that begin like a frame and are none any more: old versions that were
    /// overwritten in part, or damage.
    pub broken: u64,
}

/// Records of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KindFound {
    /// The number of records.
    pub records: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
}

/// The size of a conversation's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConversationFound {
    /// Its number in this store.
    pub number: u32,
    /// The records that its messages are in.
    pub packs: u64,
    /// Messages; zero where packs can't be read.
    pub messages: u64,
    /// The bytes of keys and values.
    pub bytes: u64,
}

/// Looks at a tree's folder.
pub(crate) fn look_at(folder: &Path, codec: &Codec) -> TreeFound {
    let mut found = TreeFound::default();
    let mut newest = BTreeMap::new();
    for path in files(folder).unwrap_or_default() {
        let length = fs::metadata(&path).map_or(0, |meta| meta.len());
        found.file_bytes += length;
        if let Ok(mut file) = File::open(&path) {
            scan(&mut file, codec, &mut found, &mut newest);
        }
    }
    let mut tally = Tally::default();
    match count(folder, codec, &mut tally) {
        Ok(()) => {}
        Err(error) => {
            found.refusal = Some(error.to_string());
            tally = Tally::default();
            for (key, (_, one)) in &newest {
                tally.add(key, *one);
            }
        }
    }
    tally.finish(found)
}

/// Finds the newest whole frame of each key.
fn scan(
    file: &mut File,
    codec: &Codec,
    found: &mut TreeFound,
    newest: &mut BTreeMap<Vec<u8>, (FrameRank, One)>,
) {
    let mut unreadable = 0;
    // The visitor gives no error.
    let _ = walk(file, &mut unreadable, &mut |rest| {
        let Some(whole) = WholeFrame::first(rest)
            .ok()
            .filter(|whole| whole.store == codec.store)
        else {
            found.broken += 1;
            return Ok(frame::MAGIC.len());
        };
        found.frames += 1;
        let length = whole.length();
        let (form, one) = One::of(whole.key, rest.get(..length).unwrap_or_default(), codec);
        let rank = (whole.seq, form);
        let there = newest.get(whole.key);
        if there.is_none_or(|(there, _)| *there <= rank) {
            newest.insert(whole.key.to_vec(), (rank, one));
        }
        Ok(length)
    });
    found.broken += unreadable;
}

/// Opens a copy of the tree and counts its records.
fn count(folder: &Path, codec: &Codec, tally: &mut Tally) -> Result<(), StoreError> {
    if !folder.is_dir() {
        return Err(StoreError::damaged("the tree's folder is missing"));
    }
    let copy = Copied::of(folder).map_err(|error| StoreError::io("copying the tree", &error))?;
    let options = DbOptions {
        folder: copy.0.clone(),
        cache_bytes: CACHE_BYTES,
        open_timeout: OPEN_TIMEOUT,
    };
    look(&options.data_file())?;
    let kv = SledKv::open(&options)?;
    let all = (Bound::Unbounded, Bound::Unbounded);
    kv.scan(all, Direction::Forward, &mut |key, value| {
        tally.add(key, One::of(key, value, codec).1);
        ControlFlow::Continue(())
    })
}

/// A copy of a folder that is gone when this is.
struct Copied(PathBuf);

impl Copied {
    fn of(folder: &Path) -> io::Result<Self> {
        let mut number = 0_u32;
        let copy = loop {
            let name = format!("sampan-inspect-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match private_folder(&path) {
                Ok(()) => break Self(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    number += 1;
                }
                Err(error) => return Err(error),
            }
        };
        for path in files(folder)? {
            let Ok(inner) = path.strip_prefix(folder) else {
                continue;
            };
            let to = copy.0.join(inner);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::copy(&path, &to)?;
        }
        Ok(copy)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a folder that nobody else on the machine may look into: people's messages go there.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The counts of one value.
#[derive(Clone, Copy)]
struct One {
    bytes: u64,
    seq: u64,
    is_damaged: bool,
    /// Messages in it; none if it can't be read.
    messages: Option<u64>,
    schema: Option<u32>,
}

impl One {
    fn of(key: &[u8], value: &[u8], codec: &Codec) -> (Form, Self) {
        let bytes = key.len().saturating_add(value.len());
        let mut one = Self {
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            seq: 0,
            is_damaged: true,
            messages: Some(0),
            schema: None,
        };
        let Ok(whole) = WholeFrame::first(value) else {
            return (Form::Hot, one);
        };
        one.seq = whole.seq;
        let is_own = whole.key == key && whole.store == codec.store;
        one.is_damaged = !is_own || whole.length() != value.len();
        let tag = Tag::of(key);
        if whole.is_encrypted && codec.cipher.is_none() {
            if matches!(tag, Some(Tag::Pack | Tag::Hot | Tag::Conversation)) {
                one.messages = None;
            }
            return (Form::Hot, one);
        }
        let Ok(payload) = codec.open(key, value) else {
            one.is_damaged = true;
            return (Form::Hot, one);
        };
        match tag {
            Some(Tag::Pack | Tag::Hot) => {
                let form = Pack::form_of(&payload);
                match Pack::decode(payload, &codec.compressor) {
                    Ok(pack) => one.messages = u64::try_from(pack.slots.len()).ok(),
                    Err(_) => one.is_damaged = true,
                }
                return (form, one);
            }
            Some(Tag::Conversation) => one.count_tail(&payload),
            Some(Tag::Meta) => {
                let meta = decode::<MetaRecord>(&payload);
                one.schema = meta.ok().map(|meta| meta.schema);
            }
            _ => {}
        }
        (Form::Hot, one)
    }

    /// Counts the messages that lie with a conversation's row.
    fn count_tail(&mut self, payload: &[u8]) {
        let parts = Parts::of(payload);
        let tail = parts.map(|parts| parts.tail);
        let pack = tail
            .map(|tail| tail.map(|(_, payload)| Pack::decode_hot(Bytes::copy_from_slice(payload))));
        match pack {
            Ok(Some(Ok(pack))) => self.messages = u64::try_from(pack.slots.len()).ok(),
            Ok(None) => {}
            Ok(Some(Err(_))) | Err(_) => self.is_damaged = true,
        }
    }
}

/// The sums.
#[derive(Default)]
struct Tally {
    found: TreeFound,
    unread_packs: bool,
    messages: u64,
    conversations: BTreeMap<u32, ConversationFound>,
}

impl Tally {
    fn add(&mut self, key: &[u8], one: One) {
        let tag = Tag::of(key);
        let found = &mut self.found;
        let kind = found.kinds.entry(tag.map_or("unknown", Tag::name));
        let kind = kind.or_default();
        kind.records += 1;
        kind.bytes += one.bytes;
        found.live_bytes += one.bytes;
        found.damaged += u64::from(one.is_damaged);
        found.seq = found.seq.max(Some(one.seq));
        found.schema = found.schema.or(one.schema);
        let messages = one.messages.unwrap_or(0);
        self.messages += messages;
        self.unread_packs |= one.messages.is_none();
        let number = match tag {
            Some(Tag::Pack | Tag::Hot) => key::parse_pack(key).ok(),
            // A row alone is no message's record.
            Some(Tag::Conversation) if messages > 0 => key::parse_number(key).ok(),
            _ => None,
        };
        if let Some(number) = number {
            let of = self.conversations.entry(number.0).or_default();
            of.number = number.0;
            of.packs += 1;
            of.messages += messages;
            of.bytes += one.bytes;
        }
    }

    /// The counts, with the findings in the files.
    fn finish(self, files: TreeFound) -> TreeFound {
        let mut largest: Vec<_> = self.conversations.into_values().collect();
        largest.sort_by_key(|one| (std::cmp::Reverse(one.bytes), one.number));
        largest.truncate(LARGEST);
        TreeFound {
            refusal: files.refusal,
            file_bytes: files.file_bytes,
            frames: files.frames,
            broken: files.broken,
            messages: (!self.unread_packs).then_some(self.messages),
            largest,
            ..self.found
        }
    }
}

//! The ways in which files are spoilt.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::Dice;
use super::subject::files;

/// A way to spoil a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Flip,
    FlipMany,
    ZeroSome,
    ZeroAll,
    Truncate,
    Empty,
    Delete,
    Garbage,
    Append,
    /// The same file of an earlier time.
    Older,
    /// The same file of another store.
    Foreign,
    /// It and another file of the store change places.
    Swap,
    /// A folder of its name stands in its place.
    Folder,
}

const WAYS: [Way; 13] = [
    Way::Flip,
    Way::FlipMany,
    Way::ZeroSome,
    Way::ZeroAll,
    Way::Truncate,
    Way::Empty,
    Way::Delete,
    Way::Garbage,
    Way::Append,
    Way::Older,
    Way::Foreign,
    Way::Swap,
    Way::Folder,
];

/// The damage that was done, to be told.
#[derive(Clone, Default)]
pub(super) struct Spoilt(Vec<(Way, PathBuf, Option<PathBuf>)>);

impl fmt::Display for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (way, path, other) in &self.0 {
            write!(f, "{way:?} {}", path.display())?;
            if let Some(other) = other {
                write!(f, " {}", other.display())?;
            }
            f.write_str(", ")?;
        }
        Ok(())
    }
}

/// Folders that files are taken from to spoil others.
pub(super) struct Sources<'a> {
    pub(super) older: &'a Path,
    pub(super) foreign: &'a Path,
}

/// Spoils one to three files of a folder, mostly one.
pub(super) fn spoil(folder: &Path, sources: &Sources<'_>, dice: &mut Dice) -> Spoilt {
    let mut spoilt = Spoilt::default();
    let many = [1, 1, 1, 1, 2, 3][dice.below(6)];
    for _ in 0..many {
        let names = files(folder);
        // Half the cases spoil the data file, for nearly everything is in it.
        let data = names.iter().find(|name| name.ends_with("db/db"));
        let name = match data {
            Some(data) if dice.below(2) == 0 => data.clone(),
            _ if names.is_empty() => continue,
            _ => dice.of(&names).clone(),
        };
        let way = *dice.of(&WAYS);
        let other = (way == Way::Swap).then(|| dice.of(&names).clone());
        spoil_file(folder, &name, (way, other.as_deref()), sources, dice);
        spoilt.0.push((way, name, other));
    }
    spoilt
}

fn spoil_file(
    folder: &Path,
    name: &Path,
    (way, other): (Way, Option<&Path>),
    sources: &Sources<'_>,
    dice: &mut Dice,
) {
    let path = folder.join(name);
    let mut bytes = fs::read(&path).unwrap();
    let at = dice.below(bytes.len());
    match way {
        Way::Flip => flip(&mut bytes, at, 1, dice),
        Way::FlipMany => flip(&mut bytes, at, 64, dice),
        Way::ZeroSome => {
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
        }
        Way::ZeroAll => bytes.fill(0),
        Way::Truncate => bytes.truncate(at),
        Way::Empty => bytes.clear(),
        Way::Delete => return fs::remove_file(&path).unwrap(),
        Way::Garbage => dice.fill(&mut bytes),
        Way::Append => {
            let from = bytes.len();
            bytes.resize(from + 1 + dice.below(10_000), 0);
            dice.fill(&mut bytes[from..]);
        }
        Way::Older => bytes = fs::read(sources.older.join(name)).unwrap_or_default(),
        Way::Foreign => bytes = fs::read(sources.foreign.join(name)).unwrap_or_default(),
        Way::Swap => {
            let other = folder.join(other.unwrap());
            let others = fs::read(&other).unwrap();
            fs::write(&other, bytes).unwrap();
            bytes = others;
        }
        Way::Folder => {
            fs::remove_file(&path).unwrap();
            return fs::create_dir(&path).unwrap();
        }
    }
    fs::write(&path, bytes).unwrap();
}

/// Changes some bytes, each to another value.
fn flip(bytes: &mut [u8], at: usize, many: usize, dice: &mut Dice) {
    for byte in bytes.iter_mut().skip(at).take(many) {
        let mask = dice.next().to_le_bytes()[0];
        *byte ^= mask.max(1);
    }
}

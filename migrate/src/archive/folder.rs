//! The folder of an archive: opening it, recovering the work of a killed run, adding segments.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::digest::Digest;
use super::error::ArchiveError;
use super::manifest::{Content, FORMAT, Manifest, Pass, PassKind, Segment, VERSION};
use super::segment::{self, Found, SegmentWriter};
use crate::core::slice::Slice;

/// An archive that this process alone writes into.
pub struct Archive {
    root: PathBuf,
    manifest: Manifest,
    next_number: u32,
    _lock: Lock,
}

/// The things that an opening found and put in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Pages taken over from files that a killed run left.
    pub pages: u64,
    /// Files set aside, because they hold nothing that can be read or are of another app.
    pub set_aside: Vec<PathBuf>,
    /// Slices that are read again, because their pages are damaged or gone.
    pub again: usize,
}

impl Archive {
    /// True if there is no archive in `root`, and one can be begun there.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when the folder holds other things or cannot be read.
    pub fn is_absent(root: &Path) -> Result<bool, ArchiveError> {
        if root.join("manifest.json").exists() {
            return Ok(false);
        }
        match is_occupied(root)? {
            true => Err(ArchiveError::NoArchive(root.to_owned())),
            false => Ok(true),
        }
    }

    /// Opens the archive in `root`, or begins one there if the folder is empty or missing.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when the folder cannot be used, is in use or belongs to another app.
    pub fn open(root: &Path, fresh: &Manifest) -> Result<(Self, Recovered), ArchiveError> {
        let pages = root.join("pages");
        let is_new = Self::is_absent(root)?;
        fs::create_dir_all(&pages).map_err(ArchiveError::io(&pages))?;
        let lock = locked(root)?;
        let manifest = if is_new {
            fresh.clone()
        } else {
            read_manifest(root)?
        };
        if manifest.app != fresh.app {
            return Err(ArchiveError::OtherApp {
                archive: manifest.app,
                asked: fresh.app.clone(),
            });
        }
        let mut archive = Self {
            root: root.to_owned(),
            next_number: manifest
                .segments
                .iter()
                .map(|one| one.number)
                .max()
                .unwrap_or(0)
                + 1,
            manifest,
            _lock: lock,
        };
        archive.manifest.server.clone_from(&fresh.server);
        let recovered = archive.recover()?;
        archive.save()?;
        Ok((archive, recovered))
    }

    /// Makes a new ledger from the files of pages, for an archive whose ledger is lost. The next crawl reads
    /// the history again, and the saved pages are kept beside it.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when the folder holds no readable page, or cannot be written.
    pub fn rebuild(root: &Path, now: i64) -> Result<(Self, Recovered), ArchiveError> {
        let lock = locked(root)?;
        let mut archive = Self {
            root: root.to_owned(),
            manifest: Manifest::new("", "", now, false),
            next_number: 1,
            _lock: lock,
        };
        let app = archive.strays()?.iter().find_map(|path| {
            let bytes = fs::read(path).ok()?;
            segment::read_frames(&bytes).header.map(|header| header.app)
        });
        archive.manifest.app = app.ok_or_else(|| ArchiveError::NoArchive(root.to_owned()))?;
        let path = root.join("manifest.json");
        if path.exists() {
            archive.set_aside(&path)?;
        }
        let recovered = archive.recover()?;
        let slices = archive
            .manifest
            .segments
            .iter()
            .filter_map(|one| one.slice.as_ref());
        let last = slices.map(|slice| slice.pass).max().unwrap_or(0);
        archive.change(|manifest| {
            let passes = (1..=last).map(|number| Pass {
                number,
                kind: PassKind::Rest,
                older: 0,
                newer: 0,
                started_at: 0,
                is_done: true,
            });
            manifest.passes = passes.collect();
        })?;
        Ok((archive, recovered))
    }

    /// Reads the manifest of an archive, without writing to the archive.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when there is no manifest, or one of an unknown version.
    pub fn read(root: &Path) -> Result<Manifest, ArchiveError> {
        if root.join("manifest.json").exists() {
            return read_manifest(root);
        }
        let pages = fs::read_dir(root.join("pages"));
        let has_pages = pages.is_ok_and(|mut pages| pages.next().is_some());
        Err(match has_pages || is_occupied(root)? {
            true => ArchiveError::NoArchive(root.to_owned()),
            false => ArchiveError::Absent(root.to_owned()),
        })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The ledger.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Changes the ledger and makes the change durable.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when the manifest cannot be written; on disk it is as it was then.
    pub fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Manifest) -> T,
    ) -> Result<T, ArchiveError> {
        let value = change(&mut self.manifest);
        self.save()?;
        Ok(value)
    }

    /// Begins a segment.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when its file cannot be made.
    pub fn begin(
        &mut self,
        content: Content,
        slice: Option<Slice>,
    ) -> Result<SegmentWriter, ArchiveError> {
        let header = segment::header(&self.manifest.app, self.next_number, content, slice);
        self.next_number += 1;
        SegmentWriter::create(&self.root.join("pages"), header)
    }

    /// Ends a segment: its file becomes durable, then the ledger names it, together with the rest of its first
    /// slice.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when the file or the ledger cannot be written. The pages stay in the file, and the next
    /// opening recovers them.
    pub fn end(
        &mut self,
        writer: SegmentWriter,
        taken: Option<&Slice>,
        left: Option<Slice>,
    ) -> Result<(), ArchiveError> {
        if writer.pages() == 0 {
            return writer.discard();
        }
        let segment = writer.finish()?;
        sync_folder(&self.root.join("pages"))?;
        self.change(|manifest| {
            manifest.segments.push(segment);
            if let Some(taken) = taken {
                manifest.settle(taken, left);
            }
        })
    }

    /// Sets aside the file of a segment, and plans to read its content again. A table is read again from its
    /// start.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when the file cannot be moved or the ledger cannot be written.
    pub fn read_again(&mut self, number: u32) -> Result<(), ArchiveError> {
        let path = self.root.join(Segment::path_of(number));
        if path.exists() {
            self.set_aside(&path)?;
        }
        self.change(|manifest| {
            let found = manifest
                .segments
                .iter()
                .position(|one| one.number == number);
            let Some(segment) = found.map(|index| manifest.segments.remove(index)) else {
                return;
            };
            match (segment.slice, segment.content) {
                (Some(slice), _) => {
                    // Older rows of the slice, if any, are in other segments.
                    let older = segment.oldest.unwrap_or(slice.older).max(slice.older);
                    let again = Slice { older, ..slice };
                    manifest.settle(&again.clone(), [again]);
                }
                (None, Content::Table { class, scan }) => {
                    manifest
                        .tables
                        .retain(|table| (&table.class, table.scan) != (&class, scan));
                }
                (None, Content::Messages) => {}
            }
        })
    }

    /// Takes over the pages of files that the ledger does not name, and has read again those of
    /// files that are gone or have another length.
    fn recover(&mut self) -> Result<Recovered, ArchiveError> {
        let mut recovered = Recovered::default();
        for path in self.strays()? {
            match self.take_over(&path)? {
                Some(pages) => recovered.pages += pages,
                None => recovered.set_aside.push(path),
            }
        }
        let lost = self.manifest.segments.iter().filter(|one| {
            let file = fs::metadata(self.root.join(Segment::path_of(one.number)));
            !file.is_ok_and(|file| file.len() == one.file.bytes)
        });
        let lost: Vec<u32> = lost.map(|one| one.number).collect();
        recovered.again = lost.len();
        for number in lost {
            self.read_again(number)?;
        }
        Ok(recovered)
    }

    /// Files of pages that the ledger does not name, in the order of their numbers.
    fn strays(&mut self) -> Result<Vec<PathBuf>, ArchiveError> {
        let folder = self.root.join("pages");
        let mut strays = Vec::new();
        for file in fs::read_dir(&folder).map_err(ArchiveError::io(&folder))? {
            let path = file.map_err(ArchiveError::io(&folder))?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let number = name
                .split('.')
                .next()
                .and_then(|number| number.parse::<u32>().ok());
            self.next_number = self.next_number.max(number.unwrap_or(0).saturating_add(1));
            let named = |one: &Segment| Segment::path_of(one.number) == format!("pages/{name}");
            if !self.manifest.segments.iter().any(named) {
                strays.push(path);
            }
        }
        strays.sort();
        Ok(strays)
    }

    /// Takes over the good pages of a file; none if it had to be set aside.
    fn take_over(&mut self, path: &Path) -> Result<Option<u64>, ArchiveError> {
        let bytes = fs::read(path).map_err(ArchiveError::io(path))?;
        let Found {
            header,
            pages,
            good_bytes,
            ..
        } = segment::read_frames(&bytes);
        let header = header.filter(|it| it.app == self.manifest.app && it.version <= VERSION);
        let named = |number| {
            self.manifest
                .segments
                .iter()
                .any(|one| one.number == number)
        };
        let Some(header) = header.filter(|it| !named(it.number)) else {
            // A kill before the first frame leaves nothing worth keeping.
            let is_empty = pages.is_empty() && bytes.len() < 4096;
            if is_empty && path.extension().is_some_and(|it| it == "part") {
                fs::remove_file(path).map_err(ArchiveError::io(path))?;
                return Ok(Some(0));
            }
            self.set_aside(path)?;
            return Ok(None);
        };
        if pages.is_empty() {
            fs::remove_file(path).map_err(ArchiveError::io(path))?;
            return Ok(Some(0));
        }
        let good = bytes.get(..good_bytes).unwrap_or_default();
        let name = self.root.join(Segment::path_of(header.number));
        if good_bytes < bytes.len() {
            let file = OpenOptions::new()
                .write(true)
                .open(path)
                .map_err(ArchiveError::io(path))?;
            file.set_len(good_bytes as u64)
                .map_err(ArchiveError::io(path))?;
            file.sync_all().map_err(ArchiveError::io(path))?;
        }
        fs::rename(path, &name).map_err(ArchiveError::io(path))?;
        sync_folder(&self.root.join("pages"))?;
        let segment = segment::entry_of(&header, &pages, Digest::of(good));
        self.change(|manifest| {
            manifest.segments.push(segment);
            let begun = header
                .slice
                .as_ref()
                .and_then(|slice| manifest.pending_like(slice))
                .cloned();
            if let Some(begun) = begun {
                let left =
                    pages
                        .iter()
                        .try_fold(begun.clone(), |slice, page| match page.summary() {
                            Ok(summary) => slice.after(&summary),
                            // A page that this program did not write does not count as read.
                            Err(_) => Some(slice),
                        });
                manifest.settle(&begun, left);
            }
        })?;
        Ok(Some(pages.len() as u64))
    }

    fn set_aside(&self, path: &Path) -> Result<(), ArchiveError> {
        let folder = self.root.join("damaged");
        fs::create_dir_all(&folder).map_err(ArchiveError::io(&folder))?;
        let name = path.file_name().unwrap_or_default();
        let mut target = folder.join(name);
        let mut copy = 1;
        while target.exists() {
            target = folder.join(format!("{}.{copy}", name.to_string_lossy()));
            copy += 1;
        }
        fs::rename(path, &target).map_err(ArchiveError::io(path))
    }

    /// Writes the manifest beside the old one, makes it durable, and puts it in its place.
    fn save(&self) -> Result<(), ArchiveError> {
        let (next, path) = (
            self.root.join("manifest.json.new"),
            self.root.join("manifest.json"),
        );
        let text = serde_json::to_vec_pretty(&self.manifest).map_err(std::io::Error::other);
        let written = text.and_then(|text| {
            let mut file = File::create(&next)?;
            file.write_all(&text)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&next, &path)
        });
        written.map_err(ArchiveError::io(&next))?;
        sync_folder(&self.root)
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), ArchiveError> {
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(ArchiveError::io(folder))?;
    let _ = folder;
    Ok(())
}

fn is_occupied(root: &Path) -> Result<bool, ArchiveError> {
    match fs::read_dir(root) {
        Ok(files) => Ok(files.flatten().any(|file| {
            // A run that was killed at its very start leaves these.
            !["lock", "pages", "manifest.json.new"].contains(&&*file.file_name().to_string_lossy())
        })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ArchiveError::io(root)(error)),
    }
}

/// The lock of an archive. It ends with the value, also where a process that was started meanwhile
/// still holds a copy of the file.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // The system releases the lock with the file where this fails.
        let _ = self.0.unlock();
    }
}

fn locked(root: &Path) -> Result<Lock, ArchiveError> {
    let path = root.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = file.map_err(ArchiveError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::WouldBlock) => Err(ArchiveError::InUse(root.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(ArchiveError::io(&path)(error)),
    }
}

fn read_manifest(root: &Path) -> Result<Manifest, ArchiveError> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: String,
        version: u32,
    }
    let path = root.join("manifest.json");
    let damaged = |what: String| ArchiveError::Manifest {
        path: path.clone(),
        what,
    };
    let text = fs::read(&path).map_err(ArchiveError::io(&path))?;
    let version: Version =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if version.format != FORMAT {
        return Err(damaged(format!("its format is not {FORMAT}")));
    }
    if version.version > VERSION {
        return Err(ArchiveError::NewerFormat {
            found: version.version,
        });
    }
    serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))
}

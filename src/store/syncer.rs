//! Syncs a file on a thread of its own, so that whoever commits can go on with what comes next.
//!
//! Nothing is written to the file while a sync is under way: a write that is not synced may stand on
//! ground that is not synced either, and a power cut would take both. What goes on meanwhile is all
//! the work in memory before the next write.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

/// What syncs a file.
#[derive(Debug)]
pub(super) struct Syncer {
    /// None only while it is dropped: that ends the thread.
    to: Option<mpsc::SyncSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    results: mpsc::Receiver<io::Result<()>>,
    /// Whether a sync is under way.
    running: bool,
    /// Whether something was written that no sync covers.
    written: bool,
}

impl Syncer {
    /// Begins with a file of which nothing is known to be durable. The thread sleeps between syncs
    /// and ends with the syncer.
    pub(super) fn start(file: File) -> io::Result<Self> {
        let (to, asked) = mpsc::sync_channel::<()>(1);
        let (done, results) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("sampan-store-sync".to_owned())
            .spawn(move || while asked.recv().is_ok() && done.send(file.sync_data()).is_ok() {})?;
        let progress = Mutex::new(Progress {
            results,
            running: false,
            written: true,
        });
        Ok(Self {
            to: Some(to),
            thread: Some(thread),
            progress,
        })
    }

    /// Notes that the next sync has something to do.
    pub(super) fn note_written(&self) {
        self.lock().written = true;
    }

    /// Begins a sync if anything was written since the last one, for which it waits.
    pub(super) fn begin(&self) -> io::Result<()> {
        let mut progress = self.lock();
        progress.wait()?;
        if progress.written {
            let to = self.to.as_ref().ok_or_else(ended)?;
            to.send(()).map_err(|_| ended())?;
            progress.running = true;
            progress.written = false;
        }
        Ok(())
    }

    /// Waits for the sync that is under way, if one is.
    pub(super) fn wait(&self) -> io::Result<()> {
        self.lock().wait()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn wait(&mut self) -> io::Result<()> {
        if !self.running {
            return Ok(());
        }
        self.running = false;
        let synced = self.results.recv().map_err(|_| ended()).flatten();
        // What a failed sync was to cover is still not durable.
        self.written |= synced.is_err();
        synced
    }
}

impl Drop for Syncer {
    /// The file is closed when its owner is gone: the thread has it, so the thread has ended.
    fn drop(&mut self) {
        let _ = self.wait();
        self.to = None;
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that syncs has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_sync_that_failed_is_told_once_and_tried_again() {
        // Neither the one end of a channel nor the other can be synced.
        let (end, _other) = io::pipe().unwrap();
        let syncer = Syncer::start(File::from(std::os::fd::OwnedFd::from(end))).unwrap();
        syncer.begin().unwrap();
        assert!(syncer.wait().is_err());
        assert!(syncer.wait().is_ok());
        syncer.begin().unwrap();
        assert!(syncer.wait().is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_file_is_closed_when_the_syncer_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tree");
        let is_open = || {
            let handles = std::fs::read_dir("/proc/self/fd").unwrap();
            let mut files = handles.filter_map(|it| std::fs::read_link(it.ok()?.path()).ok());
            files.any(|file| file == path)
        };
        for _ in 0..200 {
            let syncer = Syncer::start(File::create(&path).unwrap()).unwrap();
            syncer.begin().unwrap();
            drop(syncer);
            assert!(!is_open());
        }
    }

    #[test]
    fn a_file_to_which_nothing_was_written_is_not_synced_again() {
        let syncer = Syncer::start(tempfile::tempfile().unwrap()).unwrap();
        syncer.begin().unwrap();
        syncer.wait().unwrap();
        syncer.begin().unwrap();
        assert!(!syncer.lock().running);
        syncer.note_written();
        syncer.begin().unwrap();
        assert!(syncer.lock().running);
        syncer.wait().unwrap();
    }
}

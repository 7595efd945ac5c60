//! A thread that writes and syncs a file, so the writer can go on.
//!
//! Nothing is written to the file during a sync: an unsynced write may rest on another unsynced write, and a
//! power cut would take both. Work in memory before the next write goes on meanwhile, and so does every read.
//!
//! The first sync covers everything that the opening wrote, names included. It begins at once, and a caller
//! that opened the store to read does not wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::{io, thread};

/// The thread that syncs a file, and its state.
#[derive(Debug)]
pub(crate) struct SyncThread {
    /// None only while it is dropped: that ends the thread.
    to: Option<mpsc::SyncSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    progress: Mutex<SyncProgress>,
}

#[derive(Debug)]
struct SyncProgress {
    results: mpsc::Receiver<io::Result<()>>,
    /// True if a sync is under way.
    running: bool,
    /// True if something was written that no sync covers.
    written: bool,
}

impl SyncThread {
    /// Begins the first sync of a file of unknown durability: `whole` makes it durable, with everything that
    /// belongs to it. The next sync repeats a failed first one. Later syncs call `each`. `before` runs before
    /// each sync, on the same thread, which sleeps between syncs and ends with this value.
    pub(crate) fn start(
        before: impl Fn() -> io::Result<()> + Send + 'static,
        whole: impl Fn() -> io::Result<()> + Send + 'static,
        each: impl Fn() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (to, asked) = mpsc::sync_channel::<()>(1);
        let (done, results) = mpsc::sync_channel(1);
        let mut is_whole = false;
        let mut sync = move || {
            before()?;
            if is_whole {
                return each();
            }
            let synced = whole();
            is_whole = synced.is_ok();
            synced
        };
        let thread = thread::Builder::new()
            .name("sampan-store-sync".to_owned())
            .spawn(move || while asked.recv().is_ok() && done.send(sync()).is_ok() {})?;
        let progress = Mutex::new(SyncProgress {
            results,
            running: false,
            written: true,
        });
        let sync_thread = Self {
            to: Some(to),
            thread: Some(thread),
            progress,
        };
        sync_thread.begin()?;
        Ok(sync_thread)
    }

    /// Notes that the next sync has something to do.
    pub(crate) fn note_written(&self) {
        self.lock().written = true;
    }

    /// Begins a sync if anything was written since the last one, for which it waits.
    pub(crate) fn begin(&self) -> io::Result<()> {
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
    pub(crate) fn wait(&self) -> io::Result<()> {
        self.lock().wait()
    }

    fn lock(&self) -> MutexGuard<'_, SyncProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SyncProgress {
    fn wait(&mut self) -> io::Result<()> {
        if !self.running {
            return Ok(());
        }
        self.running = false;
        let synced = self.results.recv().map_err(|_| ended()).flatten();
        // The writes that a failed sync was to cover are still not durable.
        self.written |= synced.is_err();
        synced
    }
}

impl Drop for SyncThread {
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
    use std::fs::File;

    use super::*;

    fn started(file: File) -> io::Result<SyncThread> {
        SyncThread::start(|| Ok(()), || Ok(()), move || file.sync_data())
    }

    #[cfg(unix)]
    #[test]
    fn a_sync_that_failed_is_told_once_and_tried_again() {
        // Neither the one end of a channel nor the other can be synced.
        let (end, _other) = io::pipe().unwrap();
        let end = File::from(std::os::fd::OwnedFd::from(end));
        let sync_thread = SyncThread::start(|| Ok(()), || Ok(()), move || end.sync_data()).unwrap();
        sync_thread.wait().unwrap();
        sync_thread.note_written();
        sync_thread.begin().unwrap();
        assert!(sync_thread.wait().is_err());
        assert!(sync_thread.wait().is_ok());
        sync_thread.begin().unwrap();
        assert!(sync_thread.wait().is_err());
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
            let sync_thread = started(File::create(&path).unwrap()).unwrap();
            drop(sync_thread);
            assert!(!is_open());
        }
    }

    #[test]
    fn the_first_sync_covers_everything_and_is_tried_until_it_succeeds() {
        let (said, asked) = mpsc::channel();
        let failures = Mutex::new(2);
        let whole = move || {
            said.send(()).unwrap();
            let mut left = failures.lock().unwrap();
            *left -= 1;
            if *left >= 0 {
                return Err(io::Error::other("not yet"));
            }
            Ok(())
        };
        let sync_thread = SyncThread::start(|| Ok(()), whole, || Ok(())).unwrap();
        assert!(sync_thread.wait().is_err());
        sync_thread.begin().unwrap();
        assert!(sync_thread.wait().is_err());
        sync_thread.begin().unwrap();
        sync_thread.wait().unwrap();
        sync_thread.note_written();
        sync_thread.begin().unwrap();
        sync_thread.wait().unwrap();
        drop(sync_thread);
        assert_eq!(asked.iter().count(), 3);
    }

    #[test]
    fn a_file_to_which_nothing_was_written_is_not_synced_again() {
        let sync_thread = started(tempfile::tempfile().unwrap()).unwrap();
        sync_thread.wait().unwrap();
        sync_thread.begin().unwrap();
        assert!(!sync_thread.lock().running);
        sync_thread.note_written();
        sync_thread.begin().unwrap();
        assert!(sync_thread.lock().running);
        sync_thread.wait().unwrap();
    }
}

//! The log of Sampan: [`LogSink`] and [`set_log_sink`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::SampanError;
use crate::model::{Count, Timestamp};
use crate::runtime::wall;
use crate::threads::Threads;

/// How many notes may wait for the sink.
const NOTES_MAX: usize = 1024;

/// Receives Sampan's log records: expected troubles as `Warn`, bugs as `Error`. The records contain ids, and
/// never keys, tokens or the texts of messages.
///
/// Sampan calls the sink on a thread of its own, with all waiting records, one batch at a time and in order.
/// The sink may call Sampan. For a slow sink at most 1024 records wait; later ones are dropped and counted.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// Receives some records; `dropped` is the number of records that were dropped before the first of them.
    ///
    /// # Errors
    ///
    /// An error of the app is ignored.
    fn log(&self, records: Vec<LogRecord>, dropped: Count) -> Result<(), SampanError>;
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct LogRecord {
    /// The time of the record, by this device's clock.
    pub at: Timestamp,
    /// The severity.
    pub level: LogLevel,
    /// The part of Sampan that wrote the record.
    pub target: String,
    /// The text of the record.
    pub text: String,
}

/// The severity of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum LogLevel {
    /// A bug in Sampan, or a loss of data.
    Error,
    /// An expected trouble: a broken connection, a refused write.
    Warn,
    /// A fact for the reader of a report.
    Info,
    /// A fact for a developer of Sampan.
    Debug,
}

/// Sends the log records of all engines of this process to `sink`, from `level` on. A later call replaces the
/// sink. A Rust program with a logger of the `log` crate gets the records in that logger.
///
/// # Errors
///
/// `InvalidArgument` when the program has a logger of its own.
#[uniffi::export]
pub fn set_log_sink(sink: Arc<dyn LogSink>, level: LogLevel) -> Result<(), SampanError> {
    let forward = FORWARD.get_or_init(Forward::default);
    let mut place = forward.sink.lock().unwrap_or_else(PoisonError::into_inner);
    let before = place.replace(sink);
    drop(place);
    // Dropping the app's object runs code of the app, so it happens outside the lock.
    drop(before);
    let mut installed = forward
        .installed
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if !*installed {
        log::set_logger(forward).map_err(|_| SampanError::InvalidArgument {
            reason: "the program has a logger of its own".to_owned(),
        })?;
        *installed = true;
    }
    log::set_max_level(level.filter());
    Ok(())
}

impl LogLevel {
    const fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::Error,
            Self::Warn => LevelFilter::Warn,
            Self::Info => LevelFilter::Info,
            Self::Debug => LevelFilter::Debug,
        }
    }

    const fn of(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug | Level::Trace => Self::Debug,
        }
    }
}

/// The process has one logger by the `log` crate's design; it forwards to the app's sink.
static FORWARD: OnceLock<Forward> = OnceLock::new();

/// Hands notes to the app's sink, on a thread that comes and goes with them.
struct Forward {
    sink: Mutex<Option<Arc<dyn LogSink>>>,
    installed: Mutex<bool>,
    thread: Threads,
    backlog: Arc<Backlog>,
}

/// The notes that wait for the sink, and those that were left out.
#[derive(Default)]
struct Backlog(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    notes: Vec<LogRecord>,
    dropped: u64,
    /// True if a thread takes them to the sink.
    is_told: bool,
}

impl Backlog {
    /// Keeps a note; answers whether a thread is wanted that takes it to the sink.
    fn keep(&self, note: LogRecord) -> bool {
        let mut waiting = self.lock();
        if waiting.notes.len() >= NOTES_MAX {
            waiting.dropped += 1;
            return false;
        }
        waiting.notes.push(note);
        !std::mem::replace(&mut waiting.is_told, true)
    }

    /// Everything that waits, and how much was left out before it; none when nothing does.
    fn take(&self) -> Option<(Vec<LogRecord>, u64)> {
        let mut waiting = self.lock();
        if waiting.notes.is_empty() {
            waiting.is_told = false;
            return None;
        }
        let dropped = std::mem::take(&mut waiting.dropped);
        Some((std::mem::take(&mut waiting.notes), dropped))
    }

    /// Nobody takes the notes that wait: the next note asks for a thread again.
    fn forget(&self) {
        *self.lock() = Waiting::default();
    }

    /// The sections under this lock move values and run no code of the app.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Forward {
    fn default() -> Self {
        Self {
            sink: Mutex::default(),
            installed: Mutex::default(),
            thread: Threads::new("sampan-log", 1),
            backlog: Arc::default(),
        }
    }
}

impl Log for Forward {
    /// Notes of other libraries are theirs to show.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        target == "sampan" || target.starts_with("sampan::")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let place = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let sink = place.clone();
        drop(place);
        let Some(sink) = sink else {
            return;
        };
        let note = LogRecord {
            at: wall(),
            level: LogLevel::of(record.level()),
            target: record.target().to_owned(),
            text: record.args().to_string(),
        };
        if !self.backlog.keep(note) {
            return;
        }
        let backlog = Arc::clone(&self.backlog);
        let taken = self.thread.run(Box::new(move || {
            while let Some((notes, dropped)) = backlog.take() {
                tell(&*sink, notes, dropped);
            }
        }));
        if taken.is_err() {
            // Without a thread for them, notes are lost: there is nowhere to say so.
            self.backlog.forget();
        }
    }

    fn flush(&self) {}
}

/// A sink that fails, or panics, has nowhere to be reported to.
fn tell(sink: &dyn LogSink, notes: Vec<LogRecord>, dropped: u64) {
    let _ = catch_unwind(AssertUnwindSafe(|| sink.log(notes, Count(dropped))));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    type Batch = (Vec<LogRecord>, Count, String);

    /// Tells each batch and its thread; waits for leave after each where it was told to.
    struct Notes {
        told: Mutex<Sender<Batch>>,
        leave: Option<Mutex<Receiver<()>>>,
    }

    impl LogSink for Notes {
        fn log(&self, records: Vec<LogRecord>, dropped: Count) -> Result<(), SampanError> {
            let thread = std::thread::current().name().unwrap_or_default().to_owned();
            let told = self.told.lock().unwrap();
            told.send((records, dropped, thread)).unwrap();
            drop(told);
            if let Some(leave) = &self.leave {
                let _ = leave.lock().unwrap().recv();
            }
            Err(SampanError::ShutDown)
        }
    }

    fn forward(leave: Option<Receiver<()>>) -> (Forward, Receiver<Batch>) {
        let (told, heard) = channel();
        let notes = Notes {
            told: Mutex::new(told),
            leave: leave.map(Mutex::new),
        };
        let forward = Forward::default();
        *forward.sink.lock().unwrap() = Some(Arc::new(notes));
        (forward, heard)
    }

    fn say(forward: &Forward, target: &str, text: &str) {
        forward.log(
            &Record::builder()
                .target(target)
                .level(Level::Warn)
                .args(format_args!("{text}"))
                .build(),
        );
    }

    #[test]
    fn a_sink_gets_sampans_notes_and_those_only_on_a_thread_of_its_own() {
        let (forward, heard) = forward(None);
        for target in ["sampan::net", "sampanish", "hyper::client", "sampan"] {
            say(&forward, target, "hello");
        }
        let mut targets = Vec::new();
        while targets.len() < 2 {
            let (notes, dropped, thread) = heard.recv_timeout(PATIENCE).unwrap();
            assert_eq!((dropped, thread.as_str()), (Count(0), "sampan-log"));
            assert!(notes.iter().all(|note| note.text == "hello"));
            targets.extend(notes.into_iter().map(|note| note.target));
        }
        assert_eq!(targets, ["sampan::net", "sampan"]);
        drop(forward);
        assert!(heard.recv().is_err(), "nothing else was told");
    }

    #[test]
    fn a_sink_that_blocks_holds_up_nobody_and_hears_how_many_notes_were_left_out() {
        let (go, leave) = channel();
        let (forward, heard) = forward(Some(leave));
        say(&forward, "sampan", "0");
        heard.recv_timeout(PATIENCE).unwrap();
        for n in 1..=NOTES_MAX + 7 {
            say(&forward, "sampan", &n.to_string());
        }
        drop(go);
        let (notes, dropped, _) = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(dropped, Count(7));
        let texts: Vec<_> = notes.into_iter().map(|note| note.text).collect();
        let expected: Vec<_> = (1..=NOTES_MAX).map(|n| n.to_string()).collect();
        assert_eq!(texts, expected, "one batch");
    }
}

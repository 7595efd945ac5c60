//! Where Sampan's own notes go.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::SampanError;

/// Takes Sampan's notes: what may happen as `Warn`, bugs as `Error`. Ids are in them; keys, tokens
/// and what people write never are.
///
/// It is called on whatever thread has something to say and must not call Sampan back.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// Takes one note.
    ///
    /// # Errors
    ///
    /// Whatever the app reports is ignored.
    fn log(&self, record: LogRecord) -> Result<(), SampanError>;
}

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct LogRecord {
    /// How bad it is.
    pub level: LogLevel,
    /// The part of Sampan that says it.
    pub target: String,
    /// What it says.
    pub text: String,
}

/// How bad a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum LogLevel {
    /// A bug in Sampan, or the loss of something.
    Error,
    /// What may happen: a broken connection, a refused write.
    Warn,
    /// What a reader of a report wants to know.
    Info,
    /// What a developer of Sampan wants to know.
    Debug,
}

/// Sends the notes of all engines of this process to `sink`, from `level` on; a later call replaces
/// the sink. In a Rust program that has a logger of the `log` crate, that one gets them instead.
///
/// # Errors
///
/// `InvalidArgument` when the program has a logger of its own.
#[uniffi::export]
pub fn set_log_sink(sink: Arc<dyn LogSink>, level: LogLevel) -> Result<(), SampanError> {
    let forward = FORWARD.get_or_init(Forward::default);
    *forward.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
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

#[derive(Default)]
struct Forward {
    sink: Mutex<Option<Arc<dyn LogSink>>>,
    installed: Mutex<bool>,
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
        // The app's code does not run under the lock.
        let sink = self
            .sink
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(sink) = sink {
            // A sink that fails has nowhere to be reported to.
            let _ = sink.log(LogRecord {
                level: LogLevel::of(record.level()),
                target: record.target().to_owned(),
                text: record.args().to_string(),
            });
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Notes(Mutex<Vec<LogRecord>>);

    impl LogSink for Notes {
        fn log(&self, record: LogRecord) -> Result<(), SampanError> {
            self.0.lock().unwrap().push(record);
            Err(SampanError::Closed)
        }
    }

    #[test]
    fn a_sink_gets_sampans_notes_and_those_only() {
        let notes = Arc::new(Notes::default());
        let forward = Forward {
            sink: Mutex::new(Some(notes.clone())),
            installed: Mutex::new(true),
        };
        for target in ["sampan::net", "sampan", "sampanish", "hyper::client"] {
            let said = format_args!("hello").to_string();
            forward.log(
                &Record::builder()
                    .target(target)
                    .level(Level::Warn)
                    .args(format_args!("{said}"))
                    .build(),
            );
        }
        let notes = notes.0.lock().unwrap();
        let targets: Vec<_> = notes.iter().map(|note| note.target.as_str()).collect();
        assert_eq!(targets, ["sampan::net", "sampan"]);
        assert_eq!(notes.first().unwrap().text, "hello");
    }
}

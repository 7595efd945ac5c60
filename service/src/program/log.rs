//! The program's log: lines on standard error, as text or as JSON. The level can be changed while the program
//! runs.

use std::io::stderr;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Whose events are written: those of other crates may have anything in them.
const TARGET: &str = "sampan_service";

/// The level of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Level {
    /// Nothing.
    Off,
    /// Faults of the service or of its disk.
    Error,
    /// Events that may well happen and should be looked at.
    Warn,
    /// Acts of the service itself: it starts, stops, reads its settings.
    Info,
    /// Connections, sessions, requests and refusals, by id.
    Debug,
    /// Each command.
    Trace,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The log that was started.
#[derive(Debug)]
pub(crate) struct Log {
    filter: reload::Handle<Targets, Registry>,
    /// The level of the flag.
    chosen: Level,
    level: Level,
}

impl Log {
    /// Starts the log of this process; there is one.
    pub(crate) fn start(level: Level, format: Format) -> Self {
        let (filter, handle) = reload::Layer::new(targets(level));
        let lines = fmt::layer()
            .with_writer(stderr)
            .with_ansi(false)
            // A standard error that is closed or full costs the line and nothing else.
            .log_internal_errors(false);
        let lines = match format {
            Format::Text => lines.with_target(false).boxed(),
            Format::Json => {
                let json = lines.json().flatten_event(true).with_target(false);
                json.with_current_span(false).with_span_list(false).boxed()
            }
        };
        let log = tracing_subscriber::registry().with(filter).with(lines);
        // It fails where another one was started before, and nothing here does that.
        let _ = log.try_init();
        Self {
            filter: handle,
            chosen: level,
            level,
        }
    }

    /// Writes more from now on: one step, up to everything.
    pub(crate) fn more(&mut self) {
        let levels = Level::value_variants();
        let next = levels.iter().find(|level| **level > self.level);
        self.set(next.copied().unwrap_or(self.level));
    }

    /// Writes again as much as the flag asked for.
    pub(crate) fn as_chosen(&mut self) {
        self.set(self.chosen);
    }

    fn set(&mut self, level: Level) {
        self.level = level;
        // It fails where the log is gone, and it goes with the process.
        let _ = self.filter.reload(targets(level));
        tracing::warn!(level = ?level, "the level of the log has changed");
    }
}

fn targets(level: Level) -> Targets {
    let level = match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_target(TARGET, level)
}

//! The signals of the system to the process.

#[cfg(unix)]
use std::io::IsTerminal as _;

/// The request of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A request to end.
    ToStop,
    /// A request to read the settings again.
    ToReload,
    /// A request to raise the log's level by one.
    ForMoreLog,
    /// A request to return to the log's level of the flag.
    ForTheUsualLog,
}

/// The signals that ask something of the process. A signal that means nothing here ends nothing.
#[cfg(unix)]
pub(crate) struct Signals {
    stop: [tokio::signal::unix::Signal; 2],
    hang_up: tokio::signal::unix::Signal,
    /// True if the process was started in a terminal; a terminal that has closed no longer says that it is one.
    in_terminal: bool,
    log: [tokio::signal::unix::Signal; 2],
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            stop: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
            ],
            hang_up: signal(SignalKind::hangup())?,
            in_terminal: std::io::stdin().is_terminal(),
            log: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Waits until something is asked.
    pub(crate) async fn next(&mut self) -> Asked {
        let [terminate, interrupt] = &mut self.stop;
        let [more, usual] = &mut self.log;
        tokio::select! {
            _ = terminate.recv() => Asked::ToStop,
            _ = interrupt.recv() => Asked::ToStop,
            // A terminal that closes ends the programs that were started in it.
            _ = self.hang_up.recv() => match self.in_terminal {
                true => Asked::ToStop,
                false => Asked::ToReload,
            },
            _ = more.recv() => Asked::ForMoreLog,
            _ = usual.recv() => Asked::ForTheUsualLog,
        }
    }
}

/// The signals that ask something of the process.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits until something is asked.
    pub(crate) async fn next(&mut self) -> Asked {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Asked::ToStop
    }
}

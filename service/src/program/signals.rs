//! What the system tells the process.

/// What the process is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To end.
    ToStop,
    /// To write one step more into the log.
    ForMoreLog,
    /// To write into the log what the flag asked for.
    ForTheUsualLog,
}

/// What asks something of the process. A signal that means nothing here ends nothing.
#[cfg(unix)]
pub(crate) struct Signals {
    stop: [tokio::signal::unix::Signal; 3],
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
                signal(SignalKind::hangup())?,
            ],
            log: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Waits until something is asked.
    pub(crate) async fn next(&mut self) -> Asked {
        let [terminate, interrupt, hang_up] = &mut self.stop;
        let [more, usual] = &mut self.log;
        tokio::select! {
            _ = terminate.recv() => Asked::ToStop,
            _ = interrupt.recv() => Asked::ToStop,
            _ = hang_up.recv() => Asked::ToStop,
            _ = more.recv() => Asked::ForMoreLog,
            _ = usual.recv() => Asked::ForTheUsualLog,
        }
    }
}

/// What asks something of the process.
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

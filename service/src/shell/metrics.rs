//! The metrics of a running service, as Prometheus reads them.
//!
//! Each name has the prefix `sampan_`, each time is in seconds. No label has an id of a client, a conversation
//! or a message: the words of the protocol bound the number of series.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::storage::{Work, bytes_on_disk};

/// Upper ends of the buckets of times, in seconds: from a commit on a fast disk to a client's patience.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper ends of the buckets of numbers of sessions or inputs.
const COUNTS: [f64; 12] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0,
];

/// A command and how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CommandResult {
    command: Cow<'static, str>,
    /// `ok`, the code of the refusal, or `not_kept` where the storage failed.
    result: Cow<'static, str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CommandName {
    command: Cow<'static, str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestResult {
    path: Cow<'static, str>,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HookResult {
    hook: String,
    /// `ok`, or in a word why there is no answer.
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: Cow<'static, str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfApp {
    app: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PushResult {
    sender: &'static str,
    /// `ok`, or in a word why the vendor has it not.
    result: &'static str,
}

/// All numbers of one service. A number is counted where the thing happens; other numbers are looked up when
/// somebody reads them.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    pub(super) connections: Gauge,
    pub(super) connections_opened: Counter,
    connections_closed: Family<Reason, Counter>,
    sessions: Gauge,
    clients_online: Family<OfApp, Gauge>,
    commands: Family<CommandResult, Counter>,
    command_seconds: Family<CommandName, Histogram>,
    requests: Family<RequestResult, Counter>,
    hooks: Family<HookResult, Counter>,
    pushes: Family<PushResult, Counter>,
    pub(super) messages_accepted: Counter,
    pub(super) fanout_sessions: Histogram,
    commands_sent: Counter,
    bytes_sent: Counter,
    pub(super) pushed_again: Counter,
    queues_cut: Counter,
    queue_bytes: Gauge,
    queues_held: Gauge,
    inputs_waiting: Gauge,
    input_bytes_waiting: Gauge,
    pub(super) commit_seconds: Histogram,
    pub(super) commit_inputs: Histogram,
    pub(super) commits_failed: Counter,
    pub(super) storage_sound: Gauge,
    storage_bytes: Gauge,
    storage_rows_read: Counter,
    storage_bytes_read: Counter,
    storage_bytes_written: Counter,
    resident_bytes: Gauge,
    open_files: Gauge,
    /// The part of others' numbers that was counted already.
    seen: Seen,
    /// The file of the data, where there is one.
    file: Option<PathBuf>,
}

/// Numbers that others count, as they were when they were looked at last.
#[derive(Debug, Default)]
struct Seen {
    rows: AtomicU64,
    read: AtomicU64,
    written: AtomicU64,
    commands: AtomicU64,
    bytes: AtomicU64,
    cut: AtomicU64,
}

/// The numbers that are looked up when somebody reads them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Levels {
    /// Commands that were handed to connections so far.
    pub(super) commands_sent: u64,
    /// Their bytes.
    pub(super) bytes_sent: u64,
    /// Connections that were cut off so far because they read too slowly.
    pub(super) queues_cut: u64,
    /// Bytes that wait on all connections.
    pub(super) queue_bytes: usize,
    /// Connections from which no commands are read until they have taken their waiting bytes.
    pub(super) queues_held: usize,
    /// Bytes of commands that wait for the core.
    pub(super) input_bytes_waiting: usize,
}

impl Metrics {
    /// All numbers at zero.
    #[expect(clippy::too_many_lines, reason = "a table: one entry a number")]
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        let mut registry = Registry::with_prefix("sampan");
        let of = &mut registry;
        let seconds = || Histogram::new(SECONDS);
        let metrics = Self {
            connections: put(of, "connections", "WebSockets that stand", Gauge::default()),
            connections_opened: put(
                of,
                "connections_opened",
                "WebSockets that were opened",
                Counter::default(),
            ),
            connections_closed: put(
                of,
                "connections_closed",
                "WebSockets that ended, by reason",
                Family::default(),
            ),
            sessions: put(
                of,
                "sessions",
                "Clients that are signed in, once for each connection",
                Gauge::default(),
            ),
            clients_online: put(
                of,
                "clients_online",
                "Clients with a session, by app",
                Family::default(),
            ),
            commands: put(
                of,
                "commands",
                "Commands of clients, by name and result",
                Family::default(),
            ),
            command_seconds: put(
                of,
                "command_seconds",
                "From the arrival of a command until its effects are durable and handed on",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            requests: put(
                of,
                "http_requests",
                "Requests over HTTP, by path and status",
                Family::default(),
            ),
            hooks: put(
                of,
                "hooks",
                "Calls of hooks, by hook and result",
                Family::default(),
            ),
            pushes: put(
                of,
                "pushes",
                "Pushes to devices, by sender and result",
                Family::default(),
            ),
            messages_accepted: put(
                of,
                "messages_accepted",
                "Messages that were acknowledged",
                Counter::default(),
            ),
            fanout_sessions: put(
                of,
                "fanout_sessions",
                "Sessions that one message went to",
                Histogram::new(COUNTS),
            ),
            commands_sent: put(
                of,
                "commands_sent",
                "Commands that were handed to connections",
                Counter::default(),
            ),
            bytes_sent: put(
                of,
                "bytes_sent",
                "Bytes of commands that were handed to connections",
                Counter::default(),
            ),
            pushed_again: put(
                of,
                "messages_pushed_again",
                "Messages sent again that nobody acknowledged",
                Counter::default(),
            ),
            queues_cut: put(
                of,
                "queues_cut",
                "Connections that were cut off because they read too slowly",
                Counter::default(),
            ),
            queue_bytes: put(
                of,
                "queue_bytes",
                "Bytes that wait for connections to take them",
                Gauge::default(),
            ),
            queues_held: put(
                of,
                "queues_held",
                "Connections that are not read until they took what waits",
                Gauge::default(),
            ),
            inputs_waiting: put(
                of,
                "inputs_waiting",
                "Inputs that wait for the core",
                Gauge::default(),
            ),
            input_bytes_waiting: put(
                of,
                "input_bytes_waiting",
                "Bytes of commands that wait for the core",
                Gauge::default(),
            ),
            commit_seconds: put(of, "commit_seconds", "Time of a commit", seconds()),
            commit_inputs: put(
                of,
                "commit_inputs",
                "Inputs that shared a commit",
                Histogram::new(COUNTS),
            ),
            commits_failed: put(
                of,
                "commits_failed",
                "Commits of which nothing is kept",
                Counter::default(),
            ),
            storage_sound: put(
                of,
                "storage_sound",
                "1 while the data can be written, 0 after a failure",
                Gauge::default(),
            ),
            storage_bytes: put(
                of,
                "storage_bytes",
                "Bytes of the disk that the data's file takes",
                Gauge::default(),
            ),
            storage_rows_read: put(
                of,
                "storage_rows_read",
                "Rows that were read",
                Counter::default(),
            ),
            storage_bytes_read: put(
                of,
                "storage_bytes_read",
                "Bytes of rows that were read",
                Counter::default(),
            ),
            storage_bytes_written: put(
                of,
                "storage_bytes_written",
                "Bytes of rows that were put into commits",
                Counter::default(),
            ),
            resident_bytes: put(
                of,
                "resident_bytes",
                "Memory of the process, as the system counts it",
                Gauge::default(),
            ),
            open_files: put(
                of,
                "open_files",
                "Files and sockets that the process has open",
                Gauge::default(),
            ),
            seen: Seen::default(),
            file,
            registry,
        };
        metrics.storage_sound.set(1);
        metrics
    }

    /// All numbers as text.
    pub(super) fn text(&self, levels: Levels) -> String {
        self.refresh(levels);
        let mut text = String::new();
        // A string takes everything.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Looks up the numbers that are not counted where things happen.
    fn refresh(&self, levels: Levels) {
        let seen = &self.seen;
        count(&seen.commands, levels.commands_sent, &self.commands_sent);
        count(&seen.bytes, levels.bytes_sent, &self.bytes_sent);
        count(&seen.cut, levels.queues_cut, &self.queues_cut);
        set(&self.queue_bytes, levels.queue_bytes);
        set(&self.queues_held, levels.queues_held);
        set(&self.input_bytes_waiting, levels.input_bytes_waiting);
        if let Some(size) = self.file_bytes() {
            self.storage_bytes
                .set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        if let Some((resident, files)) = of_process() {
            set(&self.resident_bytes, resident);
            set(&self.open_files, files);
        }
    }

    /// The numbers that one looks at first, by name.
    pub(super) fn summary(&self, levels: Levels) -> [(&'static str, i64); 12] {
        self.refresh(levels);
        let total = |counter: &Counter| i64::try_from(counter.get()).unwrap_or(i64::MAX);
        [
            ("connections", self.connections.get()),
            ("sessions", self.sessions.get()),
            ("messages", total(&self.messages_accepted)),
            ("pushed_again", total(&self.pushed_again)),
            ("commands_sent", total(&self.commands_sent)),
            ("inputs_waiting", self.inputs_waiting.get()),
            ("queue_bytes", self.queue_bytes.get()),
            ("queues_cut", total(&self.queues_cut)),
            ("commits_failed", total(&self.commits_failed)),
            ("storage_bytes", self.storage_bytes.get()),
            ("storage_rows_read", total(&self.storage_rows_read)),
            ("resident_bytes", self.resident_bytes.get()),
        ]
    }

    /// The number of clients of an app that are online.
    pub(super) fn online_in(&self, app: &str) -> i64 {
        let app = app.to_owned();
        self.clients_online.get_or_create(&OfApp { app }).get()
    }

    /// The bytes of the disk that the data's file takes, where there is one.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        bytes_on_disk(self.file.as_ref()?).ok()
    }

    /// So many inputs wait for the core.
    pub(super) fn inputs_waiting(&self, inputs: usize) {
        set(&self.inputs_waiting, inputs);
    }

    /// A connection ended.
    pub(super) fn closed(&self, reason: Cow<'static, str>) {
        self.connections.dec();
        self.connections_closed
            .get_or_create(&Reason { reason })
            .inc();
    }

    /// A command was handled, and its effects were handed on after this time.
    pub(super) fn handled(
        &self,
        command: Cow<'static, str>,
        result: Cow<'static, str>,
        took: Duration,
    ) {
        let name = CommandName {
            command: command.clone(),
        };
        self.command_seconds
            .get_or_create(&name)
            .observe(took.as_secs_f64());
        self.commands
            .get_or_create(&CommandResult { command, result })
            .inc();
    }

    /// A request over HTTP was answered.
    pub(super) fn answered(&self, path: &'static str, status: u16) {
        let path = Cow::Borrowed(path);
        self.requests
            .get_or_create(&RequestResult { path, status })
            .inc();
    }

    /// A push was handed to its sender, or was not.
    pub(super) fn pushed(&self, sender: &'static str, result: &'static str) {
        let of = PushResult { sender, result };
        self.pushes.get_or_create(&of).inc();
    }

    /// A hook was called, or was tried to be.
    pub(super) fn hook_called(&self, hook: &str, result: &'static str) {
        let hook = hook.to_owned();
        let labels = HookResult { hook, result };
        self.hooks.get_or_create(&labels).inc();
    }

    /// Sets the number of open sessions, and of the clients of each app that have one.
    pub(super) fn online<'a>(&self, sessions: usize, apps: impl Iterator<Item = (&'a str, usize)>) {
        set(&self.sessions, sessions);
        for (app, online) in apps {
            let app = app.to_owned();
            set(&self.clients_online.get_or_create(&OfApp { app }), online);
        }
    }

    /// The storage has done so much since it was opened.
    pub(super) fn worked(&self, work: Work) {
        let seen = &self.seen;
        count(&seen.rows, work.rows, &self.storage_rows_read);
        count(&seen.read, work.bytes, &self.storage_bytes_read);
        count(
            &seen.written,
            work.written_bytes,
            &self.storage_bytes_written,
        );
    }
}

/// Registers a metric and gives it back.
fn put<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Adds the growth since the last look.
fn count(seen: &AtomicU64, now: u64, counter: &Counter) {
    counter.inc_by(now.saturating_sub(seen.fetch_max(now, Ordering::Relaxed)));
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// Bytes of memory and open files of this process, where the system tells.
#[cfg(target_os = "linux")]
fn of_process() -> Option<(usize, usize)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some((kib * 1024, files))
}

/// This system is not asked.
#[cfg(not(target_os = "linux"))]
fn of_process() -> Option<(usize, usize)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_counted_by_its_name_and_result_with_its_time() {
        let metrics = Metrics::new(None);
        let took = Duration::from_millis(3);
        metrics.handled("conv/start".into(), "ok".into(), took);
        metrics.handled("conv/start".into(), "4304".into(), took);
        let text = metrics.text(Levels::default());
        for line in [
            r#"sampan_commands_total{command="conv/start",result="ok"} 1"#,
            r#"sampan_commands_total{command="conv/start",result="4304"} 1"#,
            r#"sampan_command_seconds_bucket{le="0.0025",command="conv/start"} 0"#,
            r#"sampan_command_seconds_bucket{le="0.005",command="conv/start"} 2"#,
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    fn the_work_of_the_storage_is_counted_once() {
        let metrics = Metrics::new(None);
        for rows in [5, 5, 9] {
            metrics.worked(Work {
                rows,
                bytes: 10 * rows,
                written_bytes: 0,
            });
        }
        let text = metrics.text(Levels::default());
        assert!(
            text.contains("\nsampan_storage_rows_read_total 9\n"),
            "{text}"
        );
        assert!(
            text.contains("\nsampan_storage_bytes_read_total 90\n"),
            "{text}"
        );
    }
}

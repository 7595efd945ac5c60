//! The work that both stores are asked to do, and how a process of its own is told to do it.
//!
//! The bench starts a process for each store and gives it tasks, one a line; the process answers each with a line of
//! durations. The process makes the data of its work itself, outside of the durations.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ours::Ours;
use crate::peer::Peer;
use crate::support::Outcome;
use crate::support::show::Stopwatch;
use crate::workload::{BATCH, Begun, Delivered, LONG, Text, Workload};

/// Makes this program a store's process instead of the bench.
pub(crate) const MODE: &str = "--subject";

/// The number of messages in a page.
pub(crate) const PAGE: usize = 20;

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Sampan,
    Sqlite,
}

/// The time at which a batch is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Class {
    /// Soon.
    Soon,
    /// Before the next one begins.
    Each,
}

/// A store and what it is to hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) kind: Kind,
    pub(crate) folder: PathBuf,
    pub(crate) text: Text,
    pub(crate) class: Class,
    pub(crate) messages: u64,
}

/// A store that is measured.
pub(crate) trait Subject {
    /// Begins conversations; their places are those in the slice.
    fn begin(&mut self, conversations: &[Begun]) -> Outcome<()>;
    /// Takes a batch in: one commit.
    fn ingest(&mut self, batch: &[Delivered]) -> Outcome<()>;
    /// Makes everything durable.
    fn finish(&mut self) -> Outcome<()>;
    /// Does what the store does by itself while the app has nothing for it to do.
    fn rest(&mut self) -> Outcome<()>;
    /// Reads the first twenty conversations of the list, each with its newest message; the place of the first.
    fn list(&mut self) -> Outcome<usize>;
    /// Reads the newest page of a conversation; how many messages.
    fn newest(&mut self, place: usize) -> Outcome<usize>;
    /// Reads a conversation from its newest page back to its beginning; the durations of the pages.
    fn walk(&mut self, place: usize) -> Outcome<Vec<Duration>>;
}

/// Opens a store, or makes one.
pub(crate) fn open(setting: &Setting) -> Outcome<Box<dyn Subject>> {
    Ok(match setting.kind {
        Kind::Sampan => Box::new(Ours::open(setting)?),
        Kind::Sqlite => Box::new(Peer::open(setting)?),
    })
}

/// A task for a process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Begin the conversations of the workload.
    Begin,
    /// Take this many batches in, or as many as are left.
    Ingest(u64),
    /// Make everything durable.
    Finish,
    /// Do the store's work of idle time.
    Rest,
    /// Read this many newest pages.
    Newest(u32),
    /// Read the long conversation.
    Walk,
}

/// The answer of a process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The duration of each step.
    pub(crate) nanos: Vec<u64>,
    /// Messages that are left to take in.
    pub(crate) left: u64,
    /// The most memory that the process had so far, in bytes.
    pub(crate) peak: u64,
}

impl Answer {
    /// All durations together.
    pub(crate) fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos.iter().sum())
    }
}

/// Is a store's process: does what it is told until there is nothing more.
pub(crate) fn serve(setting: &Setting) -> Outcome<()> {
    let mut workload = Workload::new(setting.text, setting.messages)?;
    let mut subject = open(setting)?;
    let mut turn = 0;
    for line in std::io::stdin().lines() {
        let mut answer = Answer::default();
        obey(
            serde_json::from_str(&line?)?,
            (subject.as_mut(), &mut workload, &mut turn),
            &mut answer.nanos,
        )?;
        answer.left = workload.left();
        answer.peak = memory(Memory::Peak)?;
        println!("{}", serde_json::to_string(&answer)?);
    }
    Ok(())
}

fn obey(
    ask: Ask,
    (subject, workload, turn): (&mut dyn Subject, &mut Workload, &mut usize),
    nanos: &mut Vec<u64>,
) -> Outcome<()> {
    let mut note = |took: Duration| nanos.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    match ask {
        Ask::Begin => subject.begin(&workload.conversations()?)?,
        Ask::Ingest(batches) => {
            for _ in 0..batches.min(workload.left().div_ceil(BATCH)) {
                let batch = workload.batch()?;
                let began = Stopwatch::start();
                subject.ingest(&batch)?;
                note(began.elapsed());
            }
        }
        Ask::Finish => {
            let began = Stopwatch::start();
            subject.finish()?;
            note(began.elapsed());
        }
        Ask::Rest => {
            let began = Stopwatch::start();
            subject.rest()?;
            note(began.elapsed());
        }
        Ask::Newest(pages) => {
            for _ in 0..pages {
                *turn += 1;
                let place = LONG + 1 + *turn * 7 % 999;
                let began = Stopwatch::start();
                let found = subject.newest(place)?;
                note(began.elapsed());
                if found != PAGE {
                    return Err(format!("a page of {found} messages").into());
                }
            }
        }
        Ask::Walk => subject.walk(LONG)?.into_iter().for_each(note),
    }
    Ok(())
}

/// A store's process, seen from the bench.
pub(crate) struct Worker {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start(setting: &Setting) -> Outcome<Self> {
        std::fs::create_dir_all(&setting.folder)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args([MODE, &serde_json::to_string(setting)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take();
        let from = child.stdout.take().ok_or("the process has no output")?;
        Ok(Self {
            child,
            to,
            from: BufReader::new(from),
        })
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> Outcome<Answer> {
        let to = self.to.as_mut().ok_or("the process has no input")?;
        writeln!(to, "{}", serde_json::to_string(&ask)?)?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Lets the process close its store and end.
    pub(crate) fn end(mut self) -> Outcome<()> {
        drop(self.to.take());
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("a store's process ended with {status}").into())
        }
    }
}

/// Which memory of this process.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    /// The memory that the process has now.
    Now,
    /// The most memory that the process had.
    Peak,
}

/// The resident memory of this process, in bytes.
pub(crate) fn memory(which: Memory) -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let name = match which {
        Memory::Now => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes
        .ok_or("the system tells no memory")?
        .parse::<u64>()?
        * 1024)
}

//! Runs the tests against one defect after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::Problem;
use crate::clock::Watch;

/// The variable that switches a defect on.
const SWITCH: &str = "SAMPAN_MUTANT";
/// The variable that names the file of a trace.
const TRACE: &str = "SAMPAN_MUTANT_TRACE";
/// The sizes of the first batches of tests: a few of them notice most defects.
const BATCHES: [usize; 2] = [12, 60];
/// The shortest silence of a test program that is taken for a hang.
const SILENCE_MIN: Duration = Duration::from_secs(30);
/// The longest silence of a healthy run, times this, is a hang as well.
const SILENCE_TIMES: u32 = 3;

/// The fate of a defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// This test failed.
    Caught(String),
    /// The tests did not end.
    TimedOut,
    /// All tests passed.
    Missed {
        /// True if a test came by.
        reached: bool,
    },
}

/// A test program, and what a run without defects told about it.
pub(crate) struct Tests {
    program: PathBuf,
    folder: PathBuf,
    /// All tests that pass without a defect.
    all: BTreeSet<String>,
    /// The tests that come by each defect; those of threads without a test's name are under "".
    reach: BTreeMap<u32, BTreeSet<String>>,
    /// The number of defects that each test comes by.
    breadth: BTreeMap<String, usize>,
    silence: Duration,
}

/// How a run of some tests ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Passed,
    Failed(String),
    TimedOut,
}

impl Tests {
    /// Runs all tests without a defect, and notes which of them come by which.
    pub(crate) fn traced(
        program: PathBuf,
        folder: PathBuf,
        trace: PathBuf,
    ) -> Result<Self, Problem> {
        drop(std::fs::remove_file(&trace));
        let mut tests = Self {
            program,
            folder,
            all: BTreeSet::new(),
            reach: BTreeMap::new(),
            breadth: BTreeMap::new(),
            silence: Duration::from_secs(600),
        };
        let mut failed = Vec::new();
        let trace_path = trace.to_string_lossy().into_owned();
        let environment = [(SWITCH, "trace".to_owned()), (TRACE, trace_path)];
        let lines = tests.start(&environment, &[])?;
        let watch = Watch::start();
        let (mut last, mut longest) = (Duration::ZERO, Duration::ZERO);
        while let Ok(line) = lines.receiver.recv_timeout(tests.silence) {
            let now = watch.elapsed();
            longest = longest.max(now.saturating_sub(last));
            last = now;
            match result_of(&line) {
                Some((name, true)) => {
                    tests.all.insert(name);
                }
                Some((name, false)) => failed.push(name),
                None => {}
            }
        }
        drop(lines);
        if tests.all.is_empty() {
            return Err(Problem("no test passes without a defect".to_owned()));
        }
        for name in failed {
            println!("  …  left out, for it fails without a defect: {name}");
        }
        tests.silence = SILENCE_MIN.max(longest * SILENCE_TIMES);
        let text = std::fs::read_to_string(&trace)
            .map_err(|cause| Problem::while_doing("reading the trace", cause))?;
        tests.read_trace(&text);
        println!(
            "  …  {} tests in {} s, the longest silence {} s",
            tests.all.len(),
            watch.elapsed().as_secs(),
            longest.as_secs()
        );
        Ok(tests)
    }

    fn read_trace(&mut self, text: &str) {
        for line in text.lines() {
            let Some((number, thread)) = line.split_once('\t') else {
                continue;
            };
            let Ok(number) = number.parse() else {
                continue;
            };
            let test = if self.all.contains(thread) {
                thread
            } else {
                ""
            };
            if self
                .reach
                .entry(number)
                .or_default()
                .insert(test.to_owned())
            {
                *self.breadth.entry(test.to_owned()).or_default() += 1;
            }
        }
    }

    /// The tests that could notice a defect, in batches: those that come by and are of the room and go to few
    /// places first. If a thread without a test's name came by as well, the other tests of the room follow; the
    /// tests of other rooms follow only if no test came by under its own name.
    fn batches(&self, number: u32, filter: &str) -> Vec<Vec<String>> {
        let Some(reach) = self.reach.get(&number) else {
            return Vec::new();
        };
        let known: Vec<&String> = reach.iter().filter(|it| self.all.contains(*it)).collect();
        let is_of_room = |name: &str| name.starts_with(filter);
        let breadth = |name: &str| self.breadth.get(name).copied().unwrap_or_default();
        let mut sorted = known.clone();
        sorted.sort_by_key(|name| (!is_of_room(name), breadth(name)));
        let mut left: Vec<String> = sorted.into_iter().cloned().collect();
        let mut batches = Vec::new();
        for size in BATCHES {
            let rest = left.split_off(left.len().min(size));
            batches.push(std::mem::replace(&mut left, rest));
        }
        batches.push(left);
        if reach.contains("") {
            let others = |name: &&String| !reach.contains(*name);
            let (near, far) = self
                .all
                .iter()
                .filter(others)
                .cloned()
                .partition::<Vec<_>, _>(|name| is_of_room(name));
            batches.push(near);
            if known.is_empty() {
                batches.push(far);
            }
        }
        batches.retain(|batch| !batch.is_empty());
        batches
    }

    /// Runs the tests that could notice a defect until one does. `filter` is the start of the names of the tests
    /// of the defect's room.
    pub(crate) fn fate(&mut self, number: u32, filter: &str) -> Result<Fate, Problem> {
        let batches = self.batches(number, filter);
        let reached = !batches.is_empty();
        for mut batch in batches {
            loop {
                match self.run(number, &batch)? {
                    End::Passed => break,
                    End::TimedOut => return Ok(Fate::TimedOut),
                    End::Failed(test) if test.is_empty() || self.passes_without(&test)? => {
                        return Ok(Fate::Caught(test));
                    }
                    End::Failed(test) => {
                        println!("  …  left out, for it fails now and then: {test}");
                        self.all.remove(&test);
                        batch.retain(|it| *it != test);
                        if batch.is_empty() {
                            break;
                        }
                    }
                }
            }
        }
        Ok(Fate::Missed { reached })
    }

    /// True if a test passes while no defect is on: its failure was about the defect.
    fn passes_without(&self, test: &str) -> Result<bool, Problem> {
        Ok(self.run(0, &[test.to_owned()])? == End::Passed)
    }

    /// Runs tests by name, all of them when none is named, and ends them at the first failure.
    fn run(&self, number: u32, names: &[String]) -> Result<End, Problem> {
        let mut running = self.start(&[(SWITCH, number.to_string())], names)?;
        loop {
            match running.receiver.recv_timeout(self.silence) {
                Ok(line) => {
                    if let Some((name, false)) = result_of(&line) {
                        return Ok(End::Failed(name));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(End::TimedOut),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = running
                        .child
                        .wait()
                        .map_err(|cause| Problem::while_doing("waiting for tests", cause))?;
                    // A program that aborts names no test.
                    return Ok(if status.success() {
                        End::Passed
                    } else {
                        End::Failed(String::new())
                    });
                }
            }
        }
    }

    fn start(&self, environment: &[(&str, String)], names: &[String]) -> Result<Running, Problem> {
        let mut command = Command::new(&self.program);
        if !names.is_empty() {
            command.arg("--exact").args(names);
        }
        let mut child = command
            .args(["--test-threads", "2", "--color", "never"])
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|cause| Problem::while_doing("starting tests", cause))?;
        let (sender, receiver) = channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Running { child, receiver })
    }
}

/// A test program that runs; it is ended when this is dropped.
struct Running {
    child: std::process::Child,
    receiver: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already can not be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The test of a line of libtest, and whether it passed.
fn result_of(line: &str) -> Option<(String, bool)> {
    let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    match result {
        "ok" => Some((name.to_owned(), true)),
        "FAILED" => Some((name.to_owned(), false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests(program: &str, names: &[&str]) -> Tests {
        Tests {
            program: PathBuf::from(program),
            folder: std::env::temp_dir(),
            all: names.iter().map(|&name| name.to_owned()).collect(),
            reach: BTreeMap::new(),
            breadth: BTreeMap::new(),
            silence: Duration::from_secs(5),
        }
    }

    #[test]
    fn tests_that_come_by_run_and_those_of_the_room_first() {
        let mut of = tests("none", &["sync::a", "store::b", "store::c", "store::d"]);
        of.read_trace("1\tsync::a\n1\tstore::b\n1\tstore::c\n2\tstore::b\n3\tsome-thread\n");
        of.read_trace("5\tstore::d\n5\tsome-thread\n");
        assert_eq!(
            of.batches(1, "store::"),
            [["store::c", "store::b", "sync::a"]]
        );
        assert_eq!(of.batches(2, "store::"), [["store::b"]]);
        let all = of.batches(3, "store::");
        assert_eq!(all.concat().len(), 4, "a thread of nobody means anybody");
        assert!(of.batches(4, "store::").is_empty());
        let near: &[&[&str]] = &[&["store::d"], &["store::b", "store::c"]];
        assert_eq!(of.batches(5, "store::"), near, "sync::a is of another room");
    }

    #[test]
    fn a_line_of_libtest_is_read() {
        let read = |line: &str| result_of(line);
        assert_eq!(read("test a::b ... ok"), Some(("a::b".to_owned(), true)));
        assert_eq!(read("test a ... FAILED"), Some(("a".to_owned(), false)));
        assert_eq!(
            read("test a - should panic ... ok"),
            Some(("a".to_owned(), true))
        );
        assert_eq!(read("test a ... ignored"), None);
        assert_eq!(read("test result: FAILED. 1 passed"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_defect_that_nobody_comes_by_is_missed_without_a_run() {
        let mut of = tests("/no/such/program", &["a"]);
        assert_eq!(of.fate(7, "a").unwrap(), Fate::Missed { reached: false });
        of.read_trace("7\ta\n");
        assert!(of.fate(7, "a").is_err(), "who is reached is run");
    }
}

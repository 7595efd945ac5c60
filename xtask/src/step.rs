//! One child process: its log, its time limit, its signs of life.

use crate::Problem;
use crate::clock::Watch;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The time between two looks at a child: short beside any suite, and too long to cost CPU.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The time for which a step may be silent on our side before we say that it still runs: some CI services end a
/// job that prints nothing for some minutes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// The most characters of a log's last line that a sign of life shows.
const LAST_LINE_CHARACTERS: usize = 90;

/// A program to run, and how.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    program: String,
    arguments: Vec<String>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Step {
    /// A program with its arguments, to be run in `folder`.
    pub(crate) fn new(folder: &Path, program: impl Into<String>, arguments: &[&str]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            folder: folder.to_path_buf(),
            environment: Vec::new(),
        }
    }

    /// The same with one more variable in its environment.
    pub(crate) fn with_variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The line a person would type.
    fn as_typed(&self) -> String {
        let variables = self
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let words = std::iter::once(self.program.clone()).chain(self.arguments.iter().cloned());
        variables.chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs the program to its end, with both outputs appended to `log`. `Ok(false)` is a program that failed
    /// or outlived `limit` (such a program is killed, and the log says so).
    pub(crate) fn run(&self, name: &str, log: &Path, limit: Duration) -> Result<bool, Problem> {
        let mut out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|cause| Problem::while_doing("opening a log", cause))?;
        note(&mut out, &format!("$ {}", self.as_typed()))?;
        let mut child = match self.start(&out) {
            Ok(child) => child,
            Err(cause) => {
                note(&mut out, &format!("it did not start: {cause}"))?;
                return Ok(false);
            }
        };
        if let Some(success) = wait(&mut child, name, log, limit)? {
            return Ok(success);
        }
        note(
            &mut out,
            &format!("killed: it ran longer than {} s", limit.as_secs()),
        )?;
        child
            .kill()
            .map_err(|cause| Problem::while_doing("killing a step", cause))?;
        child
            .wait()
            .map_err(|cause| Problem::while_doing("reaping a step", cause))?;
        Ok(false)
    }

    fn start(&self, out: &File) -> std::io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(&self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out.try_clone()?)
            .spawn()
    }
}

/// Waits for the child's end and answers whether it was a success; `None` when `limit` passed.
fn wait(
    child: &mut Child,
    name: &str,
    log: &Path,
    limit: Duration,
) -> Result<Option<bool>, Problem> {
    let watch = Watch::start();
    let mut next_sign = SIGN_OF_LIFE;
    while watch.elapsed() < limit {
        let ended = child
            .try_wait()
            .map_err(|cause| Problem::while_doing("waiting for a step", cause))?;
        if let Some(status) = ended {
            return Ok(Some(status.success()));
        }
        if watch.elapsed() >= next_sign {
            next_sign += SIGN_OF_LIFE;
            println!(
                "  …  {name}, {} s: {}",
                watch.elapsed().as_secs(),
                last_line(log)
            );
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(None)
}

/// The newest line of a log, shortened.
fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    line.chars().take(LAST_LINE_CHARACTERS).collect()
}

fn note(out: &mut File, line: &str) -> Result<(), Problem> {
    writeln!(out, "{line}").map_err(|cause| Problem::while_doing("writing a log", cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str) -> PathBuf {
        let file = format!("sampan-xtask-{}-{name}.log", std::process::id());
        let path = std::env::temp_dir().join(file);
        drop(std::fs::remove_file(&path));
        path
    }

    #[test]
    fn a_program_that_does_not_exist_is_a_failure_and_not_an_error() {
        let log = log("missing");
        let step = Step::new(&std::env::temp_dir(), "sampan-no-such-program", &[]);
        assert!(!step.run("missing", &log, Duration::from_secs(5)).unwrap());
        assert!(
            std::fs::read_to_string(&log)
                .unwrap()
                .contains("did not start")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_outlives_its_limit_is_killed() {
        let log = log("limit");
        let step = Step::new(&std::env::temp_dir(), "sleep", &["60"]);
        assert!(!step.run("limit", &log, Duration::from_millis(120)).unwrap());
        assert!(std::fs::read_to_string(&log).unwrap().contains("killed"));
    }

    #[cfg(unix)]
    #[test]
    fn both_outputs_and_the_variables_are_in_the_log() {
        let log = log("outputs");
        let step = Step::new(
            &std::env::temp_dir(),
            "sh",
            &["-c", "echo out; echo err >&2"],
        )
        .with_variable("SAMPAN_EXAMPLE", "1");
        assert!(step.run("outputs", &log, Duration::from_secs(5)).unwrap());
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.contains("SAMPAN_EXAMPLE=1 sh"), "{text}");
        assert!(
            text.contains("\nout\n") && text.contains("\nerr\n"),
            "{text}"
        );
    }
}

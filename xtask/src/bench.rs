//! `cargo xtask bench NAME`: runs a bench program and judges its rows.
//!
//! A bench is a `[[bench]]` target with `harness = false`. It is built in release mode and run with
//! `--quick` when that was asked for; its progress goes to its standard error, and its standard
//! output is one JSON array of rows:
//!
//! | key | value |
//! |---|---|
//! | `name` | what was measured |
//! | `value`, `unit` | the figure, and what it counts |
//! | `peer` | the figure of the peer in the same run, or the peer's name and figure as text; null without one |
//! | `ratio` | ours beside the peer's, as a number; null without a peer |
//! | `target` | what the figure or the ratio must keep, as number or text; null where nothing is asked |
//! | `pass` | whether it does |
//!
//! Cargo passes `--bench` to such a program as well; the program ignores it.

use crate::tree::{Tree, cargo};
use crate::{Problem, Verdict};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// A bench that can be asked for by name.
struct Bench {
    name: &'static str,
    about: &'static str,
    /// The package and the `[[bench]]` target in it.
    package: &'static str,
    target: &'static str,
    /// The arguments of the program beside the pace.
    arguments: &'static [&'static str],
}

/// Every bench there is.
const BENCHES: &[Bench] = &[
    Bench {
        name: "spine",
        about: "the engine's main paths, beside a raw file and the JavaScript SDK",
        package: "sampan",
        target: "spine",
        arguments: &[],
    },
    Bench {
        name: "catchup",
        about: "what an absence of 100,000 messages costs, beside the JavaScript SDK",
        package: "sampan",
        target: "spine",
        arguments: &["--absence"],
    },
    Bench {
        name: "views",
        about: "what one update of a timeline and of a list costs",
        package: "sampan",
        target: "views",
        arguments: &[],
    },
    Bench {
        name: "connections",
        about: "what an idle connection costs the service",
        package: "sampan-service",
        target: "connections",
        arguments: &[],
    },
    Bench {
        name: "service-fair",
        about: "one client does its worst with each command, another one's echo is timed",
        package: "sampan-service",
        target: "fair",
        arguments: &[],
    },
    Bench {
        name: "service",
        about: "what a message costs the service, its start, and messages a second",
        package: "sampan-service",
        target: "service",
        arguments: &[],
    },
    Bench {
        name: "service-fan-out",
        about: "how long a message takes to the last of a thousand receivers",
        package: "sampan-service",
        target: "fan_out",
        arguments: &[],
    },
    Bench {
        name: "store",
        about: "what storing, reading, enqueueing and opening cost",
        package: "sampan",
        target: "store",
        arguments: &[],
    },
];

/// The bench and the pace that were asked for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    name: String,
    pace: Pace,
    json: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// All of it: the figures that we publish.
    Full,
    /// A fraction of the work, to see that the bench runs and nothing is far off.
    Quick,
}

/// The names of the benches, for help and for complaints.
pub(crate) fn names() -> String {
    let names: Vec<String> = BENCHES
        .iter()
        .map(|bench| format!("{} ({})", bench.name, bench.about))
        .collect();
    if names.is_empty() {
        "none yet".to_owned()
    } else {
        names.join(", ")
    }
}

/// Runs one bench; falls short when a row does.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    let request = Request::parse(arguments)?;
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == request.name) else {
        let known = names();
        return Err(Problem(format!(
            "no bench `{}`; there are: {known}",
            request.name
        )));
    };
    let tree = Tree::find()?;
    let output = measure(bench, request.pace, &tree)?;
    let rows = parse(&output)?;
    print!("{}", table(&rows));
    if let Some(file) = &request.json {
        write(Path::new(file), &rows)?;
    }
    let short = rows.iter().filter(|row| !row.pass).count();
    println!("{} figures, {short} short of their target", rows.len());
    Ok(if short == 0 {
        Verdict::Good
    } else {
        Verdict::Short
    })
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, Problem> {
        let mut words = arguments.iter();
        let mut request = Self {
            name: String::new(),
            pace: Pace::Full,
            json: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => request.pace = Pace::Quick,
                "--json" => {
                    let file = words.next();
                    let file = file.ok_or_else(|| Problem("--json needs a file".to_owned()))?;
                    request.json = Some(file.clone());
                }
                name if request.name.is_empty() && !name.starts_with('-') => {
                    request.name = name.to_owned();
                }
                other => return Err(Problem(format!("`{other}` is not understood"))),
            }
        }
        if request.name.is_empty() {
            return Err(Problem(format!("which bench? There are: {}", names())));
        }
        Ok(request)
    }
}

/// Builds and runs the program; answers its standard output.
fn measure(bench: &Bench, pace: Pace, tree: &Tree) -> Result<Vec<u8>, Problem> {
    let mut command = Command::new(cargo());
    command.args(["bench", "--package", bench.package, "--bench", bench.target]);
    command.arg("--").args(bench.arguments);
    if pace == Pace::Quick {
        command.arg("--quick");
    }
    let output = command
        .current_dir(&tree.root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|cause| Problem::while_doing("starting the bench", cause))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Problem(format!(
            "the bench `{}` failed: {}",
            bench.name, output.status
        )))
    }
}

/// One figure. `peer` and `target` stay as the program wrote them.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    value: f64,
    unit: String,
    peer: Value,
    ratio: Option<f64>,
    target: Value,
    pass: bool,
}

fn parse(output: &[u8]) -> Result<Vec<Row>, Problem> {
    let rows: Vec<Value> = serde_json::from_slice(output)
        .map_err(|cause| Problem::while_doing("reading the bench's rows", cause))?;
    if rows.is_empty() {
        return Err(Problem("the bench measured nothing".to_owned()));
    }
    rows.iter()
        .map(|row| Row::from_json(row).ok_or_else(|| Problem(format!("this is no row: {row}"))))
        .collect()
}

impl Row {
    fn from_json(row: &Value) -> Option<Self> {
        let field = |key: &str| row.get(key).cloned().unwrap_or_default();
        let ratio = field("ratio");
        Some(Self {
            name: row.get("name")?.as_str()?.to_owned(),
            value: row.get("value")?.as_f64()?,
            unit: row.get("unit")?.as_str()?.to_owned(),
            peer: field("peer"),
            ratio: if ratio.is_null() {
                None
            } else {
                Some(ratio.as_f64()?)
            },
            target: field("target"),
            pass: row.get("pass")?.as_bool()?,
        })
    }

    fn to_json(&self) -> Value {
        serde_json::json!({
            "name": self.name, "value": self.value, "unit": self.unit, "peer": self.peer,
            "ratio": self.ratio, "target": self.target, "pass": self.pass,
        })
    }

    fn cells(&self) -> [String; 6] {
        [
            self.name.clone(),
            format!("{} {}", figure(self.value), self.unit),
            cell(&self.peer),
            self.ratio
                .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2} ×")),
            cell(&self.target),
            if self.pass { "ok" } else { "SHORT" }.to_owned(),
        ]
    }
}

/// A figure with about three digits that mean something.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), figure),
        other => other.to_string(),
    }
}

fn table(rows: &[Row]) -> String {
    let heads = ["figure", "value", "peer", "ratio", "target", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(heads)
        .chain(rows.iter().map(Row::cells))
        .collect();
    let mut widths = [0_usize; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn write(file: &Path, rows: &[Row]) -> Result<(), Problem> {
    let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
    let text = serde_json::to_string_pretty(&rows)
        .map_err(|cause| Problem::while_doing("writing the bench's rows", cause))?;
    std::fs::write(file, text + "\n")
        .map_err(|cause| Problem::while_doing("writing the bench's rows", cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = r#"[
        {"name": "durable enqueue p50", "value": 0.41, "unit": "ms", "peer": 0.38, "ratio": 1.08,
         "target": "≤ 1.2 × the peer", "pass": true},
        {"name": "idle CPU", "value": 3, "unit": "ms/min", "peer": null, "ratio": null,
         "target": null, "pass": false}]"#;

    #[test]
    fn a_row_that_falls_short_shows_in_the_table() {
        let rows = parse(ROWS.as_bytes()).unwrap();
        let table = table(&rows);
        assert!(table.contains("1.08 ×"), "{table}");
        assert_eq!(table.matches("SHORT").count(), 1, "{table}");
    }

    #[test]
    fn rows_survive_the_way_through_the_report() {
        let rows = parse(ROWS.as_bytes()).unwrap();
        let again: Vec<Value> = rows.iter().map(Row::to_json).collect();
        let again = parse(serde_json::to_string(&again).unwrap().as_bytes()).unwrap();
        assert_eq!(again, rows);
    }

    #[test]
    fn a_bench_that_measured_nothing_or_wrote_nonsense_is_an_error() {
        assert!(parse(b"[]").is_err());
        assert!(parse(b"done").is_err());
        assert!(parse(br#"[{"name": "no value", "unit": "s", "pass": true}]"#).is_err());
    }

    #[test]
    fn options_may_stand_before_or_after_the_name() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let wanted = Request {
            name: "store".to_owned(),
            pace: Pace::Quick,
            json: Some("figures.json".to_owned()),
        };
        assert_eq!(
            Request::parse(&words("store --quick --json figures.json")).unwrap(),
            wanted
        );
        assert_eq!(
            Request::parse(&words("--json figures.json --quick store")).unwrap(),
            wanted
        );
        assert!(Request::parse(&words("store --json")).is_err());
        assert!(Request::parse(&words("--quick")).is_err());
    }
}

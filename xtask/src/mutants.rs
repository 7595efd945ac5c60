//! `cargo xtask mutants`: how many small defects the tests notice, by room.
//!
//! cargo-mutants (`cargo install cargo-mutants`) plants the defects, one at a time, and runs the tests of
//! the package. A whole run takes days, so a seeded sample is drawn from each room. The command is no
//! suite: it is for an idle machine and a night.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::process::Command;

use crate::tree::{Tree, cargo};
use crate::{Problem, Verdict};

/// The share of compiling defects that must be noticed in each room.
const CAUGHT_MIN_PERCENT: usize = 90;

/// A part of the sources, the package that it belongs to, and the files of it.
struct Room {
    name: &'static str,
    package: &'static str,
    files: &'static str,
}

const ROOMS: &[Room] = &[
    Room {
        name: "sync",
        package: "sampan",
        files: "src/sync/**/*.rs",
    },
    Room {
        name: "store",
        package: "sampan",
        files: "src/store/**/*.rs",
    },
    Room {
        name: "wire",
        package: "sampan",
        files: "src/wire/**/*.rs",
    },
    Room {
        name: "service",
        package: "sampan-service",
        files: "service/src/core/**/*.rs",
    },
];

/// The arguments.
struct Asked {
    /// The number of defects that are drawn from each room.
    sample: usize,
    seed: u64,
    room: Option<String>,
}

/// The fate of the defects of a room.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Noticed; a test that hangs has noticed, too.
    caught: usize,
    missed: Vec<String>,
    /// Did not compile.
    unviable: usize,
}

/// Plants a sample of defects in each room, or in the one named.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    let asked = asked(arguments)?;
    let tree = Tree::find()?;
    let wanted = |room: &&Room| asked.room.as_deref().is_none_or(|name| name == room.name);
    let mut rows = Vec::new();
    for room in ROOMS.iter().filter(wanted) {
        println!(
            "  …  {}: {} defects, seed {}",
            room.name, asked.sample, asked.seed
        );
        rows.push((room.name, of_room(&tree, room, &asked)?));
    }
    if rows.is_empty() {
        let known: Vec<&str> = ROOMS.iter().map(|room| room.name).collect();
        return Err(Problem(format!(
            "no such room; there are: {}",
            known.join(", ")
        )));
    }
    println!("| room | compiled | caught | missed | caught of a hundred |\n|---|---|---|---|---|");
    for (name, found) in &rows {
        println!("| {name} | {} |", found.cells());
    }
    for line in rows.iter().flat_map(|(_, found)| &found.missed) {
        println!("missed: {line}");
    }
    let good = rows.iter().all(|(_, found)| found.is_enough());
    Ok(if good { Verdict::Good } else { Verdict::Short })
}

fn asked(arguments: &[String]) -> Result<Asked, Problem> {
    let mut asked = Asked {
        sample: 75,
        seed: 0,
        room: None,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| Problem(format!("{word} needs a value")))?;
        let number = || {
            value
                .parse()
                .map_err(|_| Problem(format!("{word} needs a number, not {value}")))
        };
        match word.as_str() {
            "--sample" => asked.sample = usize::try_from(number()?).unwrap_or(usize::MAX),
            "--seed" => asked.seed = number()?,
            "--room" => asked.room = Some(value.clone()),
            _ => return Err(Problem(format!("no option {word}"))),
        }
    }
    Ok(asked)
}

fn of_room(tree: &Tree, room: &Room, asked: &Asked) -> Result<Found, Problem> {
    let listed = mutants(tree, room, &["--list"])?;
    let all: BTreeSet<&str> = listed.lines().filter(|line| !is_in_tests(line)).collect();
    if all.is_empty() {
        return Err(Problem(format!(
            "{}: cargo-mutants lists nothing",
            room.name
        )));
    }
    let drawn = sample(&all, asked.seed, asked.sample);
    let names: Vec<String> = drawn.iter().map(|name| escaped(name)).collect();
    let only = format!("^({})$", names.join("|"));
    let output = tree.reports()?.join(format!("mutants-{}", room.name));
    let folder = output.to_string_lossy();
    // cargo-mutants ends with a failure when a defect was missed; its lists tell all.
    mutants(tree, room, &["--re", &only, "--output", &folder])?;
    found(&output.join("mutants.out"))
}

/// Runs cargo-mutants over a room, and returns its output.
fn mutants(tree: &Tree, room: &Room, options: &[&str]) -> Result<String, Problem> {
    let output = Command::new(cargo())
        .args(["mutants", "--no-shuffle", "--colors", "never"])
        .args(["--package", room.package, "--file", room.files])
        .args(options)
        .current_dir(&tree.root)
        .output()
        .map_err(|cause| Problem::while_doing("starting cargo-mutants", cause))?;
    match output.status.code() {
        // 2: a defect was missed; 3: a run timed out.
        Some(0 | 2 | 3) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Problem::while_doing(
                "cargo mutants (cargo install cargo-mutants)",
                complaint,
            ))
        }
    }
}

/// Defects of tests prove nothing.
fn is_in_tests(line: &str) -> bool {
    let file = line.split(':').next().unwrap_or_default();
    file.contains("/tests/") || file.ends_with("/tests.rs")
}

/// So many of the names, the same ones for the same seed.
fn sample<'a>(names: &BTreeSet<&'a str>, seed: u64, many: usize) -> Vec<&'a str> {
    let place = |name: &str| {
        let mut hasher = DefaultHasher::new();
        (seed, name).hash(&mut hasher);
        hasher.finish()
    };
    let mut drawn: Vec<&str> = names.iter().copied().collect();
    drawn.sort_by_key(|name| place(name));
    drawn.truncate(many);
    drawn
}

/// The letters that mean something in a regular expression.
const MEANINGFUL: &str = r"\.+*?()|[]{}^$#&-~";

/// A name as a regular expression that means itself.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len() * 2);
    for letter in name.chars() {
        if MEANINGFUL.contains(letter) {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// Reads the lists that cargo-mutants leaves.
fn found(folder: &Path) -> Result<Found, Problem> {
    let lines = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name))
            .map_err(|cause| Problem::while_doing("reading the lists of cargo-mutants", cause))?;
        Ok(text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    Ok(Found {
        caught: lines("caught.txt")?.len() + lines("timeout.txt")?.len(),
        missed: lines("missed.txt")?,
        unviable: lines("unviable.txt")?.len(),
    })
}

impl Found {
    const fn compiled(&self) -> usize {
        self.caught + self.missed.len()
    }

    fn is_enough(&self) -> bool {
        self.compiled() > 0 && self.caught * 100 >= self.compiled() * CAUGHT_MIN_PERCENT
    }

    fn cells(&self) -> String {
        let percent = (self.caught * 100).checked_div(self.compiled());
        let percent = percent.map_or_else(|| "none".to_owned(), |it| it.to_string());
        format!(
            "{} of {} | {} | {} | {percent}",
            self.compiled(),
            self.compiled() + self.unviable,
            self.caught,
            self.missed.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_depends_on_its_seed_alone() {
        let names: BTreeSet<&str> = ["a", "b", "c", "d", "e", "f", "g", "h"].into();
        assert_eq!(sample(&names, 7, 3), sample(&names, 7, 3));
        assert_eq!(sample(&names, 7, 3).len(), 3);
        let drawn: BTreeSet<_> = (0..20).map(|seed| sample(&names, seed, 2)).collect();
        assert!(drawn.len() > 5, "other seeds draw others");
        assert_eq!(sample(&names, 7, 100).len(), names.len());
    }

    #[test]
    fn a_name_stands_for_itself_alone() {
        assert_eq!(escaped("a.b(c)|d"), r"a\.b\(c\)\|d");
        // In front of these a backslash would mean the edge of a word.
        assert_eq!(
            escaped("<impl A for B>::c -> bool"),
            r"<impl A for B>::c \-> bool"
        );
    }

    #[test]
    fn a_room_needs_ninety_of_a_hundred_and_something_to_judge() {
        let room = |caught, missed: usize| Found {
            caught,
            missed: vec!["x".to_owned(); missed],
            unviable: 3,
        };
        assert!(room(9, 1).is_enough());
        assert!(!room(8, 1).is_enough());
        assert!(!room(0, 0).is_enough());
        assert_eq!(room(9, 1).cells(), "10 of 13 | 9 | 1 | 90");
    }

    #[test]
    fn what_is_not_understood_is_refused_before_anything_runs() {
        for wrong in [&["--sample"][..], &["--sample", "many"], &["--speed", "1"]] {
            let words: Vec<String> = wrong.iter().map(|&word| word.to_owned()).collect();
            assert!(asked(&words).is_err(), "{wrong:?}");
        }
    }
}

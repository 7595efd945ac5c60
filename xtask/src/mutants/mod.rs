//! `cargo xtask mutants`: how many small defects the tests notice, by room.
//!
//! A seeded sample of defects is written into a copy of the workspace under `target/mutants`, each behind a switch
//! (mutant schemata), so the tests are compiled once and not once for each defect. A run without a defect notes
//! which tests come by which defect. Then these tests run with one defect on, until one fails. The command takes
//! an hour and is no suite. docs/decisions/0016 compares it with cargo-mutants.
//!
//! | file | what it holds |
//! |---|---|
//! | `places.rs` | where a defect can be, and which |
//! | `write.rs` | defects written into a source, and what the compiler's complaints are about |
//! | `copy.rs`, `switch.rs.txt` | the copy of the workspace, and the switch that it gets |
//! | `build.rs` | builds the copy, and drops what does not compile |
//! | `hunt.rs` | runs tests with one defect on |
//! | `equivalent.rs` | the list of defects that change nothing: `xtask/mutants.equivalent.txt` |

mod build;
mod copy;
mod equivalent;
mod hunt;
mod places;
mod write;

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;

use self::build::{CRATE_ROOTS, Copy, Programs};
use self::hunt::{Fate, Tests};
use self::places::Place;
use self::write::Numbered;
use crate::tree::Tree;
use crate::{Problem, Verdict};

/// The share of compiling defects that must be noticed in each room.
const CAUGHT_MIN_PERCENT: usize = 90;
/// So many more of a hundred are written than asked for: some do not compile.
const SPARE_PERCENT: usize = 30;

/// A part of the sources, and the tests that are nearest to it.
struct Room {
    name: &'static str,
    /// The folder of the package; empty for the engine.
    package: &'static str,
    files: &'static str,
    /// The start of the names of its tests.
    filter: &'static str,
}

const ROOMS: &[Room] = &[
    Room {
        name: "wire",
        package: "",
        files: "src/wire/",
        filter: "wire::",
    },
    Room {
        name: "sync",
        package: "",
        files: "src/sync/",
        filter: "sync::",
    },
    Room {
        name: "store",
        package: "",
        files: "src/store/",
        filter: "store::",
    },
    Room {
        name: "service",
        package: "service",
        files: "service/src/core/",
        filter: "core::",
    },
];

/// The arguments.
struct Asked {
    /// The number of defects that compile and change something, in each room.
    sample: usize,
    seed: u64,
    room: Option<String>,
    /// Only defects whose line in the report holds this.
    only: Option<String>,
    /// Defects whose line holds this are tried beside the sample, and not counted.
    also: Option<String>,
    /// True if survivors meet the integration tests as well.
    with_it: bool,
}

/// The fate of the defects of a room.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    caught: usize,
    /// Noticed, too: a test did not end.
    timed_out: usize,
    missed: Vec<String>,
    /// Left out: they change nothing.
    equivalent: usize,
    /// Left out: they do not compile.
    unviable: usize,
}

/// The defects that were drawn in one room.
struct Drawn<'a> {
    room: &'static Room,
    /// In the order of the draw; some may not compile.
    defects: Vec<Numbered<'a>>,
    /// Those that were asked for by name.
    also: Vec<Numbered<'a>>,
    equivalent: usize,
}

/// Plants a sample of defects in each room, and tells which of them the tests miss.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    let asked = asked(arguments)?;
    let tree = Tree::find()?;
    let all = all_places(&tree)?;
    let drawn = draw(&tree, &all, &asked)?;
    let defects = drawn.iter().flat_map(|it| [&it.defects, &it.also]);
    let defects = defects.flatten().copied().collect();
    let mut copy = Copy::new(&tree, defects)?;
    println!("  …  builds the copy under {}", copy.root.display());
    let programs = copy.build(&["--lib"])?;
    let it = if asked.with_it {
        copy.build(&["--test", "it"])?
    } else {
        Programs::new()
    };
    let mut rows = Vec::new();
    let mut runners: BTreeMap<&str, Tests> = BTreeMap::new();
    for of in &drawn {
        if asked
            .room
            .as_deref()
            .is_some_and(|name| name != of.room.name)
        {
            continue;
        }
        if !runners.contains_key(of.room.package) {
            let tests = traced(&tree, &copy, &programs, of.room.package, false)?;
            runners.insert(of.room.package, tests);
        }
        let Some(tests) = runners.get_mut(of.room.package) else {
            continue;
        };
        let mut late = if asked.with_it {
            Some(traced(&tree, &copy, &it, of.room.package, true)?)
        } else {
            None
        };
        rows.push((
            of.room.name,
            of_room(of, &copy, &asked, tests, late.as_mut())?,
        ));
    }
    told(&tree, &asked, &rows)
}

fn asked(arguments: &[String]) -> Result<Asked, Problem> {
    let mut asked = Asked {
        sample: 80,
        seed: 0,
        room: None,
        only: None,
        also: None,
        with_it: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--it" {
            asked.with_it = true;
            continue;
        }
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
            "--only" => asked.only = Some(value.clone()),
            "--also" => asked.also = Some(value.clone()),
            _ => return Err(Problem(format!("no option {word}"))),
        }
    }
    if let Some(name) = &asked.room
        && ROOMS.iter().all(|room| room.name != name)
    {
        let known: Vec<&str> = ROOMS.iter().map(|room| room.name).collect();
        return Err(Problem(format!(
            "no such room; there are: {}",
            known.join(", ")
        )));
    }
    Ok(asked)
}

/// Every defect that could be planted in a room.
fn all_places(tree: &Tree) -> Result<Vec<Place>, Problem> {
    let mut found = Vec::new();
    for crate_root in CRATE_ROOTS {
        for file in copy::modules(&tree.root, crate_root)? {
            if ROOMS.iter().any(|room| file.starts_with(room.files)) {
                let text = std::fs::read_to_string(tree.root.join(&file))
                    .map_err(|cause| Problem::while_doing(&file, cause))?;
                let here = places::places(&file, &text)
                    .map_err(|cause| Problem::while_doing(&file, cause))?;
                found.extend(here);
            }
        }
    }
    Ok(found)
}

/// Draws the sample of each room. Those of all rooms are written into the copy whichever is asked for, so that
/// another room needs no other build.
fn draw<'a>(tree: &Tree, all: &'a [Place], asked: &Asked) -> Result<Vec<Drawn<'a>>, Problem> {
    let equivalent = equivalent::read(&tree.root)?;
    if let Some(gone) = equivalent
        .keys()
        .find(|name| all.iter().all(|place| place.name() != **name))
    {
        return Err(Problem(format!(
            "the list of equivalent defects names one that is gone: {gone}"
        )));
    }
    let mut number = 0;
    let mut drawn = Vec::new();
    for room in ROOMS {
        let here: Vec<&Place> = all
            .iter()
            .filter(|place| place.file.starts_with(room.files))
            .collect();
        let wanted = asked.sample + asked.sample * SPARE_PERCENT / 100;
        let mut of = Drawn {
            room,
            defects: Vec::new(),
            also: Vec::new(),
            equivalent: 0,
        };
        for place in shuffled(&here, asked.seed) {
            if of.defects.len() >= wanted {
                break;
            }
            if equivalent.contains_key(&place.name()) {
                of.equivalent += 1;
                continue;
            }
            number += 1;
            of.defects.push((number, place));
        }
        for place in &here {
            let is_drawn = of.defects.iter().any(|(_, it)| std::ptr::eq(*it, *place));
            if !is_drawn && holds(asked.also.as_deref(), &line_of(0, place), false) {
                number += 1;
                of.also.push((number, *place));
            }
        }
        println!("  …  {}: {} places for a defect", room.name, here.len());
        drawn.push(of);
    }
    Ok(drawn)
}

/// The places in the order of a seed. The order of two places does not depend on the others.
fn shuffled<'a>(places: &[&'a Place], seed: u64) -> Vec<&'a Place> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut keyed: Vec<(u64, &Place)> = Vec::new();
    for place in places {
        let name = place.name();
        let again = seen.entry(name.clone()).or_default();
        *again += 1;
        let mut hasher = DefaultHasher::new();
        (seed, name, *again).hash(&mut hasher);
        keyed.push((hasher.finish(), place));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, place)| place).collect()
}

/// The tests of a package, after a run without a defect.
fn traced(
    tree: &Tree,
    copy: &Copy<'_>,
    programs: &Programs,
    package: &str,
    is_it: bool,
) -> Result<Tests, Problem> {
    let folder: PathBuf = copy.root.join(package).components().collect();
    let name = match (is_it, package) {
        (true, _) => "it",
        (false, "") => "sampan",
        (false, _) => "sampan_service",
    };
    let key = (folder.to_string_lossy().into_owned(), name.to_owned());
    let program = programs
        .get(&key)
        .ok_or_else(|| Problem(format!("the build made no tests of {}: {name}", key.0)))?;
    println!("  …  {name}: runs without a defect");
    let trace = tree.target.join(format!("mutants/trace-{name}.txt"));
    Tests::traced(program.clone(), folder, trace)
}

/// Runs the tests against the first so many of a room's defects that compile.
fn of_room(
    of: &Drawn<'_>,
    copy: &Copy<'_>,
    asked: &Asked,
    tests: &mut Tests,
    mut late: Option<&mut Tests>,
) -> Result<Found, Problem> {
    let mut found = Found {
        equivalent: of.equivalent,
        ..Found::default()
    };
    let compiles = |it: &&Numbered<'_>| !copy.unviable.contains(&it.0);
    let mut sample = Vec::new();
    for defect in &of.defects {
        if sample.len() == asked.sample {
            break;
        }
        if compiles(&defect) {
            sample.push(defect);
        } else {
            found.unviable += 1;
        }
    }
    let also = of
        .also
        .iter()
        .filter(compiles)
        .map(|defect| (defect, false));
    let sample = sample.into_iter().map(|defect| (defect, true));
    for ((number, place), counts) in also.chain(sample) {
        let line = line_of(*number, place);
        if !holds(asked.only.as_deref(), &line, true) {
            continue;
        }
        let mut fate = tests.fate(*number, of.room.filter)?;
        if let (Fate::Missed { .. }, Some(late)) = (&fate, late.as_mut()) {
            fate = late.fate(*number, "")?;
        }
        println!("{}", told_of(&fate, &line));
        if counts {
            found.count(&fate, line);
        }
    }
    Ok(found)
}

/// True if a line holds one of the texts, which stand between commas; `otherwise` where none is given.
fn holds(texts: Option<&str>, line: &str, otherwise: bool) -> bool {
    texts.map_or(otherwise, |texts| {
        texts.split(',').any(|text| line.contains(text))
    })
}

fn told_of(fate: &Fate, line: &str) -> String {
    match fate {
        Fate::Caught(by) => format!("caught    {line} (by {by})"),
        Fate::TimedOut => format!("timed out {line}"),
        Fate::Missed { reached: true } => format!("missed    {line}"),
        Fate::Missed { reached: false } => format!("missed    {line} (no test comes by)"),
    }
}

fn line_of(number: u32, place: &Place) -> String {
    let Place {
        file,
        line,
        function,
        change,
        ..
    } = place;
    format!("{number} {file}:{line} {function}: {change}")
}

/// Prints the table and the defects that were missed, and keeps both in a file.
fn told(tree: &Tree, asked: &Asked, rows: &[(&str, Found)]) -> Result<Verdict, Problem> {
    let mut text = format!(
        "seed {}\n| room | defects | caught | timed out | missed | caught of a hundred | equivalent | not compiled |\n\
         |---|---|---|---|---|---|---|---|\n",
        asked.seed
    );
    for (name, found) in rows {
        text.push_str(&format!("| {name} | {} |\n", found.cells()));
    }
    for line in rows.iter().flat_map(|(_, found)| &found.missed) {
        text.push_str(&format!("missed: {line}\n"));
    }
    print!("{text}");
    copy::put(&tree.reports()?.join("mutants.txt"), text.as_bytes())?;
    let good = rows.iter().all(|(_, found)| found.is_enough());
    Ok(if good { Verdict::Good } else { Verdict::Short })
}

impl Found {
    fn count(&mut self, fate: &Fate, line: String) {
        match fate {
            Fate::Caught(_) => self.caught += 1,
            Fate::TimedOut => self.timed_out += 1,
            Fate::Missed { reached: true } => self.missed.push(line),
            Fate::Missed { reached: false } => {
                self.missed.push(format!("{line} (no test comes by)"))
            }
        }
    }

    const fn noticed(&self) -> usize {
        self.caught + self.timed_out
    }

    const fn compiled(&self) -> usize {
        self.noticed() + self.missed.len()
    }

    fn is_enough(&self) -> bool {
        self.compiled() > 0 && self.noticed() * 100 >= self.compiled() * CAUGHT_MIN_PERCENT
    }

    fn cells(&self) -> String {
        let percent = (self.noticed() * 100).checked_div(self.compiled());
        let percent = percent.map_or_else(|| "none".to_owned(), |it| it.to_string());
        format!(
            "{} | {} | {} | {} | {percent} | {} | {}",
            self.compiled(),
            self.caught,
            self.timed_out,
            self.missed.len(),
            self.equivalent,
            self.unviable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_places() -> Vec<Place> {
        let source = "fn a() -> X { b + c; d + e; f == g; h && i; b + c }";
        places::places("src/wire/a.rs", source).unwrap()
    }

    #[test]
    fn an_order_depends_on_its_seed_alone() {
        let all = some_places();
        let all: Vec<&Place> = all.iter().collect();
        let names = |places: &[&Place], seed| -> Vec<usize> {
            let order = shuffled(places, seed);
            order.iter().map(|place| place.range.start).collect()
        };
        assert_eq!(names(&all, 7), names(&all, 7));
        let orders: std::collections::BTreeSet<_> = (0..20).map(|seed| names(&all, seed)).collect();
        assert!(orders.len() > 5, "other seeds draw others");
        let fewer: Vec<usize> = names(all.get(..3).unwrap(), 7);
        let kept: Vec<usize> = names(&all, 7)
            .into_iter()
            .filter(|start| fewer.contains(start))
            .collect();
        assert_eq!(kept, fewer, "the order of two does not depend on others");
    }

    #[test]
    fn a_room_needs_ninety_of_a_hundred_and_something_to_judge() {
        let room = |caught, missed: usize| Found {
            caught,
            timed_out: 1,
            missed: vec!["x".to_owned(); missed],
            equivalent: 2,
            unviable: 3,
        };
        assert!(room(8, 1).is_enough());
        assert!(!room(7, 1).is_enough());
        assert!(!Found::default().is_enough());
        assert_eq!(room(8, 1).cells(), "10 | 8 | 1 | 1 | 90 | 2 | 3");
    }

    #[test]
    fn every_room_has_places() {
        let tree = Tree {
            root: crate::tree::root(),
            target: PathBuf::new(),
        };
        let all = all_places(&tree).unwrap();
        for room in ROOMS {
            let here = all.iter().filter(|it| it.file.starts_with(room.files));
            assert!(here.count() > 100, "{}", room.name);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_before_anything_runs() {
        for wrong in [
            &["--sample"][..],
            &["--sample", "many"],
            &["--speed", "1"],
            &["--room", "roof"],
        ] {
            let words: Vec<String> = wrong.iter().map(|&word| word.to_owned()).collect();
            assert!(asked(&words).is_err(), "{wrong:?}");
        }
    }
}

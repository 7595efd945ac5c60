//! The rules of how the rooms of one floor name each other: the sub-folders and files directly under it.
//!
//! A room never imports one above it, so the rooms of a floor have an order and can be read from the
//! bottom up. Files inside one room may form a cycle only if it is listed here with a reason. Two
//! types of one floor never share a name.

use crate::code::{Token, code_only, tokens, without_tests};
use crate::repository::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The floors that are held to these rules. The owner of a floor adds its folder once it is in order.
pub(crate) const HELD: [&str; 12] = [
    "service/src/core",
    "src/runtime",
    "src/store",
    "src/model",
    "src/wire",
    "src/sync",
    "src/sync/client",
    "src/net",
    "src/api",
    "sim/src",
    "legacy/src",
    "migrate/src",
];

/// Rooms whose `mod.rs` defines the one type that the files below it share, and composes it of their
/// parts: the arrows to it and from it are not counted, those between the other files are.
const COMPOSED: [&str; 1] = ["src/sync/client"];

/// Imports that point up and stay: from which file, to which, and why.
const UPWARD: [(&str, &str, &str); 8] = [
    (
        "src/api/client.rs",
        "src/api/plugin.rs",
        "a client holds the plug-ins that are told of its conversations, and a plug-in is given clients",
    ),
    (
        "src/api/engine.rs",
        "src/api/plugin.rs",
        "an engine holds its plug-ins, and a plug-in is given the engine",
    ),
    (
        "src/runtime/clients.rs",
        "src/runtime/drafts.rs",
        "a client that is opened gets an empty set of drafts",
    ),
    (
        "src/runtime/client_parts.rs",
        "src/runtime/drafts.rs",
        "a client holds its drafts that are not written yet, and they are written by the running engine",
    ),
    (
        "src/runtime/clients.rs",
        "src/runtime/downloads.rs",
        "a client that is opened gets an empty set of downloads",
    ),
    (
        "src/runtime/client_parts.rs",
        "src/runtime/downloads.rs",
        "a client holds its downloads, so that one URL is downloaded once",
    ),
    (
        "service/src/core/machine.rs",
        "service/src/core/job.rs",
        "the core keeps the commands that are not finished; their states belong to the rooms that \
     carry them out",
    ),
    (
        "service/src/core/machine.rs",
        "service/src/core/http/reading.rs",
        "the core keeps the requests for records that are not answered; their state belongs to the room \
     that answers them",
    ),
];

/// Cycles of files inside one room that stay: the files, and why.
const FILE_CYCLES: [(&[&str], &str); 5] = [
    (
        &[
            "migrate/src/cli/crawl.rs",
            "migrate/src/cli/inspect.rs",
            "migrate/src/cli/load.rs",
            "migrate/src/cli/mod.rs",
        ],
        "the flags of all commands stand in one file, as `--help` shows them, and each command reads its own",
    ),
    (
        &[
            "src/model/query/filter.rs",
            "src/model/query/filter/operator.rs",
        ],
        "a filter is made of the tests of operators, and an operator takes from the filter's budget",
    ),
    (
        &[
            "service/src/core/loading/message.rs",
            "service/src/core/loading/mod.rs",
        ],
        "a loader puts messages into conversations, and the messages add to the loader's counts",
    ),
    (
        &["sim/src/devices/actions.rs", "sim/src/devices/streams.rs"],
        "a seed draws its actions from one stream, and some of them from streams of their own",
    ),
    (
        &["sim/src/world/unsent.rs", "sim/src/world/verdict.rs"],
        "the verdict is made of checks, and the checks of unsent messages look for them in its way",
    ),
];

/// A module's path below its floor; the floor's own `mod.rs` has none.
type Module = Vec<String>;

/// The files of one floor and what they import.
struct Floor<'a> {
    folder: &'a str,
    files: BTreeMap<Module, &'a Source>,
    /// Names that the floor's `mod.rs` re-exports, and where each is defined.
    exports: BTreeMap<String, Module>,
}

/// Everything in `sources` that breaks the rules, on one floor.
pub(crate) fn complaints(folder: &str, sources: &[Source]) -> Vec<String> {
    complaints_but(folder, sources, &FILE_CYCLES)
}

fn complaints_but(folder: &str, sources: &[Source], allowed: &[(&[&str], &str)]) -> Vec<String> {
    let floor = Floor::new(folder, sources);
    let imports = floor.imports();
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in &imports {
        let own = floor.room(from);
        let others = to.iter().map(|to| floor.room(to));
        let others: Vec<_> = others.filter(|other| *other != own).collect();
        rooms.entry(own).or_default().extend(others);
    }
    let mut found = Vec::new();
    for cycle in cycles(&rooms) {
        let why = crossings(&floor, &imports, &cycle);
        found.push(format!(
            "{folder}: the rooms {cycle:?} import each other: {why:?}"
        ));
    }
    let files = imports.iter().map(|(from, to)| {
        let to = to.iter().map(|to| floor.path(to));
        (floor.path(from), to.collect())
    });
    let file_cycles = cycles(&files.collect());
    let is_listed = |cycle: &[String]| allowed.iter().any(|(files, _)| same(files, cycle));
    for cycle in file_cycles.iter().filter(|cycle| !is_listed(cycle)) {
        found.push(format!("{folder}: the files {cycle:?} import each other"));
    }
    let here = allowed
        .iter()
        .filter(|(files, _)| files.iter().any(|file| file.starts_with(folder)));
    for (files, _) in here.filter(|(files, _)| !file_cycles.iter().any(|it| same(files, it))) {
        found.push(format!(
            "{files:?} are no cycle any more: take them off the list"
        ));
    }
    found.extend(floor.shared_names());
    found
}

fn same(files: &[&str], cycle: &[String]) -> bool {
    let files: BTreeSet<&str> = files.iter().copied().collect();
    files == cycle.iter().map(String::as_str).collect()
}

/// The imports that lead from one room of a cycle to another.
fn crossings(
    floor: &Floor<'_>,
    imports: &BTreeMap<Module, BTreeSet<Module>>,
    cycle: &[String],
) -> Vec<String> {
    let mut found = Vec::new();
    for (from, to) in imports {
        for to in to {
            let (one, other) = (floor.room(from), floor.room(to));
            if one != other && cycle.contains(&one) && cycle.contains(&other) {
                found.push(format!("{} -> {}", floor.path(from), floor.path(to)));
            }
        }
    }
    found
}

impl<'a> Floor<'a> {
    fn new(folder: &'a str, sources: &'a [Source]) -> Self {
        let mut files = BTreeMap::new();
        for source in sources {
            let inner = source.path.strip_prefix(folder);
            let inner = inner.and_then(|inner| inner.strip_prefix('/')?.strip_suffix(".rs"));
            let Some(inner) = inner else { continue };
            let mut module: Module = inner.split('/').map(str::to_owned).collect();
            if module.iter().any(|part| part == "tests") {
                continue;
            }
            if module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            files.insert(module, source);
        }
        let exports = BTreeMap::new();
        let mut floor = Self {
            folder,
            files,
            exports,
        };
        let root = Module::new();
        for path in floor.paths(&root) {
            let name = path.last().cloned().unwrap_or_default();
            floor.exports.insert(name, path);
        }
        floor
    }

    fn path(&self, module: &Module) -> String {
        self.files
            .get(module)
            .map_or_else(String::new, |source| source.path.clone())
    }

    /// The folder or file directly under the floor; `mod.rs` is one of its own.
    fn room(&self, module: &Module) -> String {
        let first = module.first().map_or("mod", String::as_str);
        format!("{}/{first}", self.folder)
    }

    /// Which files each file imports.
    fn imports(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut imports = BTreeMap::new();
        for module in self.files.keys() {
            let mut to = BTreeSet::new();
            for path in self.paths(module) {
                let through = path.first().and_then(|name| self.exports.get(name));
                let through = through.filter(|_| path.len() == 1 && !module.is_empty());
                let path = through.cloned().unwrap_or_else(|| path.clone());
                to.extend(self.home(&path).filter(|home| home != module));
            }
            imports.insert(module.clone(), to);
        }
        for (module, to) in &mut imports {
            let from = self.path(module);
            let stays = |to: &Module| {
                let to = self.path(to);
                UPWARD
                    .iter()
                    .any(|(one, other, _)| *one == from && *other == to)
            };
            to.retain(|to| !stays(to));
        }
        self.without_composers(imports)
    }

    /// The imports without those of a composing `mod.rs`, and without those that lead to one.
    fn without_composers(
        &self,
        mut imports: BTreeMap<Module, BTreeSet<Module>>,
    ) -> BTreeMap<Module, BTreeSet<Module>> {
        let composers: BTreeSet<_> = COMPOSED.iter().map(|it| format!("{it}/mod.rs")).collect();
        let composes = |module: &Module| composers.contains(&self.path(module));
        imports.retain(|from, _| !composes(from));
        for to in imports.values_mut() {
            to.retain(|to| !composes(to));
        }
        imports
    }

    /// The file that a path of this floor leads into.
    fn home(&self, path: &Module) -> Option<Module> {
        let lengths = (0..=path.len()).rev();
        let mut prefixes = lengths.filter_map(|length| path.get(..length));
        prefixes.find_map(|prefix| {
            let (module, _) = self.files.get_key_value(prefix)?;
            Some(module.clone())
        })
    }

    /// Every path that the code of a file names on this floor, from the floor's root.
    fn paths(&self, module: &Module) -> Vec<Module> {
        let Some(source) = self.files.get(module) else {
            return Vec::new();
        };
        let code = code_only(&source.text);
        let tokens = tokens(without_tests(&code));
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| tokens.get(before));
            let after = tokens.get(at + 1).map(|after| after.text);
            if before.is_some_and(|before| before.text == "::") || after != Some("::") {
                continue;
            }
            if is_visibility(&tokens, at) {
                continue;
            }
            let rest = tokens.get(at..).unwrap_or_default();
            for path in expand(rest) {
                found.extend(self.resolve(module, token.text, path));
            }
        }
        found
    }

    /// A written path from the floor's root; none if it leads elsewhere.
    fn resolve(&self, module: &Module, first: &str, path: Vec<&str>) -> Option<Module> {
        let owned = |rest: &[&str]| rest.iter().map(|part| (*part).to_owned()).collect();
        let inner = self
            .folder
            .rsplit_once("src")
            .map_or("", |(_, inner)| inner);
        let floor: Vec<&str> = inner.split('/').filter(|part| !part.is_empty()).collect();
        match first {
            "crate" => {
                let rest = path.get(1..)?;
                Some(owned(rest.strip_prefix(floor.as_slice())?))
            }
            "super" | "self" => {
                let ups = path.iter().take_while(|part| **part == "super").count();
                let mut base = module.clone();
                base.truncate(module.len().checked_sub(ups)?);
                let skipped = ups + usize::from(first == "self");
                let rest: Module = owned(path.get(skipped..)?);
                base.extend(rest);
                Some(base)
            }
            child => {
                let mut base = module.clone();
                base.push(child.to_owned());
                self.files
                    .keys()
                    .any(|file| file.starts_with(&base))
                    .then_some(())?;
                let rest: Module = owned(path.get(1..)?);
                base.extend(rest);
                Some(base)
            }
        }
    }

    /// Types that share a name with another one of the floor.
    fn shared_names(&self) -> Vec<String> {
        let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for source in self.files.values() {
            let code = code_only(&source.text);
            for name in types(&tokens(without_tests(&code))) {
                let home = homes.entry(name.to_owned()).or_default();
                home.push(source.path.clone());
            }
        }
        let shared = homes.into_iter().filter(|(_, homes)| homes.len() > 1);
        shared
            .map(|(name, homes)| format!("{}: `{name}` is a type in {homes:?}", self.folder))
            .collect()
    }
}

/// True if the path at this token says who may see an item: `pub(in path)` imports nothing.
fn is_visibility(tokens: &[Token<'_>], at: usize) -> bool {
    let before = at.checked_sub(3).and_then(|start| tokens.get(start..at));
    let words = before.map(|before| before.iter().map(|token| token.text));
    words.is_some_and(|words| words.eq(["pub", "(", "in"]))
}

/// The paths that begin with the first token: one, or those of a tree of `use`.
fn expand<'a>(tokens: &[Token<'a>]) -> Vec<Vec<&'a str>> {
    let mut prefix = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            return branches(tokens.get(at + 1..).unwrap_or_default(), &prefix);
        }
        prefix.push(token.text);
        if tokens.get(at + 1).map(|next| next.text) != Some("::") {
            break;
        }
        at += 2;
    }
    vec![prefix]
}

/// The paths of a tree of `use`, behind its opening brace.
fn branches<'a>(tokens: &[Token<'a>], prefix: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut starts = true;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," => starts = depth == 0,
            _ if starts => {
                starts = false;
                let rest = tokens.get(at..).unwrap_or_default();
                let inner = expand(rest).into_iter();
                found.extend(inner.map(|inner| [prefix, inner.as_slice()].concat()));
            }
            _ => {}
        }
    }
    found
}

/// The names of the types that a file defines outside of any block.
fn types<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for pair in tokens.windows(2) {
        let [one, next] = pair else { continue };
        match one.text {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "struct" | "enum" | "trait" | "union" | "type" if depth == 0 => found.push(next.text),
            _ => {}
        }
    }
    found
}

/// The groups of nodes of which each leads to every other.
fn cycles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = edges
        .keys()
        .map(|from| (from, reachable(from, edges)))
        .collect();
    let leads = |from: &String, to: &String| reached.get(from).is_some_and(|it| it.contains(to));
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for from in edges.keys().filter(|from| leads(from, from)) {
        let group = edges.keys().filter(|to| leads(from, to) && leads(to, from));
        found.insert(group.cloned().collect());
    }
    found.into_iter().collect()
}

fn reachable<'a>(
    from: &String,
    edges: &'a BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = edges.get(from).into_iter().flatten().collect();
    while let Some(node) = open.pop() {
        if reached.insert(node) {
            open.extend(edges.get(node).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], allowed: &[(&[&str], &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source {
                path: format!("src/store/{path}"),
                text: (*text).to_owned(),
            })
            .collect();
        complaints_but("src/store", &sources, allowed)
    }

    const ROOT: (&str, &str) = ("mod.rs", "mod a; mod b; pub use b::two::Two;");

    #[test]
    fn rooms_that_import_each_other_are_found_however_it_is_written() {
        let ways = [
            "use crate::store::b::two::Two;",
            "use crate::store::{b::{one, two::Two}};",
            "use super::super::b::two::Two;",
            "use crate::store::Two;",
            "fn f() -> crate::store::b::two::Two {}",
        ];
        for way in ways {
            let files = [
                ROOT,
                ("a/one.rs", way),
                (
                    "b/two.rs",
                    "use crate::store::a::one::One;\npub struct Two;",
                ),
            ];
            let found = found(&files, &[]);
            let all = found.join("\n");
            assert!(all.contains("rooms"), "{way}: {found:?}");
        }
    }

    #[test]
    fn rooms_that_import_downwards_alone_are_fine() {
        let files = [
            ROOT,
            ("a/one.rs", "pub struct One;"),
            (
                "b/two.rs",
                "use crate::store::a::one::One;\npub struct Two(One);",
            ),
            (
                "c.rs",
                "use super::Two;\n#[cfg(test)]\nmod tests { use crate::store::d::D; }",
            ),
            ("d.rs", "use crate::store::c::C;"),
        ];
        assert_eq!(found(&files, &[]), [""; 0]);
    }

    #[test]
    fn files_of_one_room_may_import_each_other_only_if_that_is_listed() {
        let files = [
            ("a/one.rs", "use super::two::Two;"),
            ("a/two.rs", "use super::one::One;"),
        ];
        assert_eq!(found(&files, &[]).len(), 1);
        let pair: &[&str] = &["src/store/a/one.rs", "src/store/a/two.rs"];
        assert_eq!(found(&files, &[(pair, "they are one")]), [""; 0]);
        let mended = [("a/one.rs", ""), ("a/two.rs", "use super::one::One;")];
        assert_eq!(found(&mended, &[(pair, "they are one")]).len(), 1);
    }

    #[test]
    fn what_may_see_an_item_is_no_import() {
        let files = [
            ROOT,
            ("a/one.rs", "use crate::store::b::two::Two;"),
            ("b/two.rs", "pub(in crate::store::a) struct Two;"),
        ];
        assert_eq!(found(&files, &[]), [""; 0]);
    }

    #[test]
    fn a_module_of_tests_in_its_own_file_hides_no_import() {
        let files = [
            ROOT,
            (
                "a/one.rs",
                "#[cfg(test)]\nmod tests;\nuse crate::store::b::two::Two;",
            ),
            (
                "b/two.rs",
                "use crate::store::a::one::One;\npub struct Two;",
            ),
        ];
        assert_ne!(found(&files, &[]), [""; 0]);
    }

    #[test]
    fn two_types_of_one_name_are_found() {
        let files = [
            ("a/one.rs", "struct Found;\nimpl X { type Found = u8; }"),
            ("b/two.rs", "enum Found {}"),
            (
                "b/three.rs",
                "struct Other;\n#[cfg(test)]\nmod tests { struct Found; }",
            ),
        ];
        assert_eq!(found(&files, &[]).len(), 1);
    }
}

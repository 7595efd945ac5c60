//! The items of a language that its tests call, for `cargo xtask surface`.
//!
//! Each function, each way to make an object and each item of the hand-written layer stands in the tests or the
//! sample app of its language; functions stand in the Rust tests or examples as well, by their Rust names. The
//! other items are listed in `bindings/surface/unused.txt`, which shows in a review and should be empty.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::Problem;
use crate::tree::Tree;

/// The program texts of a language, by the folders that they are in.
const PROGRAMS: [(&str, &[&str]); 3] = [
    (
        "kotlin",
        &["bindings/kotlin/src/test", "bindings/kotlin/src/samples"],
    ),
    ("swift", &["bindings/swift/Tests", "bindings/swift/Samples"]),
    ("rust", &["tests/it", "examples"]),
];

/// Endings of the files that are programs.
const ENDINGS: [&str; 4] = ["kt", "java", "swift", "rs"];

/// The items that no program of a language names, a line each. `surfaces` are Kotlin's and Swift's.
pub(crate) fn unused(tree: &Tree, surfaces: &[(&str, String)]) -> Result<String, Problem> {
    let mut out = String::new();
    for (language, folders) in PROGRAMS {
        let mut words = BTreeSet::new();
        for folder in folders {
            collect(&tree.root.join(folder), &mut words)?;
        }
        // Rust has the functions of Kotlin, in its own spelling.
        let source = if language == "rust" {
            "kotlin"
        } else {
            language
        };
        let surface = surfaces.iter().find(|(name, _)| *name == source);
        let surface = surface.map_or("", |(_, text)| text.as_str());
        for (item, name) in items(surface) {
            let is_layer = item.starts_with("layer ");
            let wanted = if language == "rust" {
                in_rust(&name)
            } else {
                name
            };
            // Rust has free functions as constructors, and notes by the `log` crate.
            let elsewhere = is_layer || !item.contains('.') || item.starts_with("LogSink.");
            let is_excused = language == "rust" && elsewhere;
            if !is_excused && !words.contains(&wanted) {
                out.push_str(&format!(
                    "{language}: {}\n",
                    item.trim_start_matches("layer ")
                ));
            }
        }
    }
    Ok(out)
}

/// The words of all programs in a folder, without their comments.
fn collect(folder: &Path, words: &mut BTreeSet<String>) -> Result<(), Problem> {
    let failed = |cause| Problem::while_doing(&format!("reading {}", folder.display()), cause);
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(&path, words)?;
        } else if path
            .extension()
            .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
        {
            let text = fs::read_to_string(&path).map_err(failed)?;
            for line in text.lines() {
                let code = line.split("//").next().unwrap_or_default();
                let parts = code.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
                words.extend(parts.filter(|word| !word.is_empty()).map(str::to_owned));
            }
        }
    }
    Ok(())
}

/// The items of a surface that must be used, each as the surface lists it and by its name.
fn items(surface: &str) -> Vec<(String, String)> {
    let mut items = Vec::new();
    let (mut is_layer, mut top) = (false, String::new());
    for line in surface.lines() {
        if line.starts_with("// ") {
            is_layer = true;
        }
        let text = line.trim();
        let is_top = !line.starts_with(' ');
        let name = name(text, is_layer);
        if is_top {
            top = type_of(text).unwrap_or_default().to_owned();
        }
        let Some(name) = name else { continue };
        let item = if is_top || top.is_empty() {
            name.to_owned()
        } else {
            format!("{top}.{name}")
        };
        let mark = if is_layer { "layer " } else { "" };
        items.push((format!("{mark}{item}"), name.to_owned()));
    }
    items
}

/// The name by which a line must be used: of a function, and in a layer of a property.
fn name(text: &str, is_layer: bool) -> Option<&str> {
    // Items that a protocol of the language asks for are used by the language.
    const BY_ITSELF: [&str; 12] = [
        "id",
        "init",
        "next",
        "description",
        "debugDescription",
        "customMirror",
        "errorDescription",
        "makeAsyncIterator",
        "apply",
        "applied",
        "work",
        "hash",
    ];
    let words = if is_layer {
        &["func ", "fun ", "var ", "val "][..]
    } else {
        &["func ", "fun "][..]
    };
    let found = words.iter().find_map(|word| {
        let (before, rest) = text.split_once(word)?;
        // A field of a record or a parameter is no item.
        (!before.contains('(') && (before.is_empty() || before.ends_with(' '))).then_some(rest)
    })?;
    let found = found
        .strip_prefix("<T : AutoCloseable> T.")
        .unwrap_or(found);
    let head = found.split(['(', ':', ' ']).next()?;
    let name = head.rsplit('.').next()?.split('<').next()?;
    (!name.is_empty() && !BY_ITSELF.contains(&name)).then_some(name)
}

fn type_of(text: &str) -> Option<&str> {
    let kinds = [
        "interface ",
        "protocol ",
        "class ",
        "struct ",
        "extension ",
        "enum ",
        "actor ",
    ];
    let rest = kinds
        .iter()
        .find_map(|kind| text.split_once(kind).map(|(_, rest)| rest))?;
    let name = rest.split([' ', ':', '(', '<']).next()?;
    let name = name.strip_suffix("Interface").unwrap_or(name);
    Some(name.strip_suffix("Protocol").unwrap_or(name))
}

/// A function by its Rust name. Objects of Kotlin have a `close` of their own.
fn in_rust(name: &str) -> String {
    match snake(name).as_str() {
        "close_session" => "close".to_owned(),
        word => word.to_owned(),
    }
}

/// `loadOlder` as Rust spells it: `load_older`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_what_a_layer_adds_must_be_used() {
        let surface = "public interface TalkInterface\n    suspend fun loadOlder(limit: Int): Loaded\n\
                       data class Loaded (val added: Int)\nfun version(): String\n\
                       open class Engine: fun open(config: Config): Engine\n\n// Views.kt, by hand\n\
                       val Talk.states: Flow<State>\nfun <T : AutoCloseable> T.closeWith(scope: Scope): T\n\
                       data class State(val version: Long = 0)\n    fun applied(update: Update): State\n";
        let items: Vec<String> = items(surface).into_iter().map(|(item, _)| item).collect();
        let expected = [
            "Talk.loadOlder",
            "version",
            "open",
            "layer states",
            "layer closeWith",
        ];
        assert_eq!(items, expected);
        assert_eq!(snake("loadOlder"), "load_older");
    }

    #[test]
    fn a_swift_property_of_a_layer_is_an_item_and_a_field_is_none() {
        assert_eq!(name("public var words: String?", true), Some("words"));
        assert_eq!(name("public let added: Int", false), None);
        assert_eq!(name("func seen(first: ItemKey)throws", false), Some("seen"));
        assert_eq!(name("case at(var: Int)", true), None);
    }

    /// S008: the recorded surfaces of Kotlin and Swift have the same functions on the same objects, and the same events.
    #[test]
    fn kotlin_and_swift_have_the_same_calls_and_events() {
        let root = crate::tree::root();
        let [kotlin, swift] = ["kotlin", "swift"].map(|language| {
            let file = root.join(format!("bindings/surface/{language}.txt"));
            let surface = fs::read_to_string(file).unwrap();
            let generated = surface.split("\n// ").next().unwrap().to_owned();
            (calls(&generated), events(&generated))
        });
        assert!(kotlin.0.len() > 150 && kotlin.1.len() > 10, "{kotlin:?}");
        let apart: Vec<_> = kotlin.0.symmetric_difference(&swift.0).collect();
        assert!(apart.is_empty(), "one language alone has {apart:?}");
        assert_eq!(kotlin.1, swift.1);
    }

    /// The free functions, and those of objects and callbacks.
    fn calls(surface: &str) -> BTreeSet<String> {
        let objects = surface
            .lines()
            .filter(|line| line.contains("interface ") || line.contains("protocol "));
        let objects: BTreeSet<&str> = objects.filter_map(type_of).collect();
        let items = items(surface).into_iter().map(|it| it.0);
        let is_call = |item: &String| match item.split_once('.') {
            Some((object, _)) => objects.contains(object),
            None => !objects.contains(item.as_str()),
        };
        items.filter(is_call).collect()
    }

    /// The names of the events, in lower case.
    fn events(surface: &str) -> BTreeSet<String> {
        let lines = surface.lines();
        let own = lines
            .skip_while(|line| !line.ends_with("class Event") && !line.contains("enum Event:"));
        own.skip(1)
            .take_while(|line| line.starts_with(' '))
            .filter_map(|line| {
                let rest = ["data class ", "object ", "case "].iter();
                let rest = rest
                    .filter_map(|word| line.trim().strip_prefix(word))
                    .next()?;
                Some(rest.split(['(', ' ']).next()?.to_lowercase())
            })
            .collect()
    }
}

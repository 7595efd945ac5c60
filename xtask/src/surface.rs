//! `cargo xtask surface`: the declarations of the generated Swift and Kotlin, beside the recorded ones.
//!
//! `bindings/surface/` holds the declarations that an app can name, one a line: those of the generated code in
//! its order, the ways to make an object, and those of the hand-written layer, file by file. A change of the
//! Rust items shows there in the words of each language, where a reviewer sees it. `SAMPAN_REGENERATE=1` writes
//! the files anew. `unused.txt` lists the items that no test calls (`uses.rs`). Names that would break the code
//! of a language are refused (`names.rs`).

use std::fs;

use crate::tree::Tree;
use crate::{Problem, Verdict};

/// The declarations of a language that an app can name.
struct Language {
    name: &'static str,
    /// The generated file, in the repository.
    generated: &'static str,
    /// The starts of declarations at the top of a file.
    tops: &'static [&'static str],
    /// The starts of declarations inside of another.
    members: &'static [&'static str],
    /// The start of an object's class, and the starts of the functions that make an object.
    makers: (&'static str, &'static [&'static str]),
    /// The folders of the layer, and the ending of its files.
    layer: (&'static [&'static str], &'static str),
    /// Reads the declarations of a file of the layer.
    read: fn(&str) -> String,
}

const LANGUAGES: [Language; 2] = [
    Language {
        name: "swift",
        generated: "bindings/swift/target/SampanCore/SampanCore.swift",
        tops: &[
            "public protocol ",
            "public struct ",
            "public enum ",
            "enum ",
            "public func ",
            "public typealias ",
        ],
        members: &[
            "func ",
            "case ",
            "public let ",
            "public var ",
            "public init(",
        ],
        makers: (
            "open class ",
            &["public static func ", "public convenience init("],
        ),
        layer: (
            &[
                "bindings/swift/Sources/SampanCore",
                "bindings/swift/Sources/Sampan",
            ],
            ".swift",
        ),
        read: crate::layer::swift,
    },
    Language {
        name: "kotlin",
        generated: "bindings/kotlin/target/generated/chat/sampan/sampan.kt",
        tops: &[
            "public interface ",
            "data class ",
            "sealed class ",
            "enum class ",
            "fun ",
            "public typealias ",
        ],
        members: &["fun ", "suspend fun ", "data class ", "object ", "class "],
        makers: ("open class ", &["fun ", "constructor("]),
        layer: (
            &[
                "bindings/kotlin/src/main/kotlin/chat/sampan",
                "bindings/kotlin/src/android/kotlin/chat/sampan",
            ],
            ".kt",
        ),
        read: crate::layer::kotlin,
    },
];

/// The generator's own machinery, which an app never names.
const MACHINERY: [&str; 7] = [
    "FfiConverter",
    "ffi",
    "Uniffi",
    "uniffi",
    "RustBuffer",
    "ForeignBytes",
    "NoHandle",
];

/// Compares the generated declarations with the recorded ones, or records them.
pub(crate) fn run(_arguments: &[String]) -> Result<Verdict, Problem> {
    let tree = Tree::find()?;
    crate::bindings::run(&["swift".to_owned(), "kotlin".to_owned()])?;
    let regenerate = std::env::var_os("SAMPAN_REGENERATE").is_some();
    let mut verdict = Verdict::Good;
    let mut surfaces = Vec::new();
    for language in &LANGUAGES {
        let code = fs::read_to_string(tree.root.join(language.generated))
            .map_err(|cause| Problem::while_doing("reading generated code", cause))?;
        let generated = language.surface(&code) + &language.constructors(&code);
        for complaint in crate::names::complaints(language.name, &generated) {
            println!("{complaint}");
            verdict = Verdict::Short;
        }
        let now = generated + &language.layer(&tree)?;
        surfaces.push((language.name, now));
    }
    let unused = crate::uses::unused(&tree, &surfaces)?;
    surfaces.push(("unused", unused));
    for (name, now) in surfaces {
        let file = format!("bindings/surface/{name}.txt");
        let path = tree.root.join(&file);
        if regenerate {
            fs::write(&path, now)
                .map_err(|cause| Problem::while_doing("writing a surface", cause))?;
        } else if !same(&file, &fs::read_to_string(&path).unwrap_or_default(), &now) {
            verdict = Verdict::Short;
        }
    }
    Ok(verdict)
}

/// Says where two surfaces part.
fn same(file: &str, before: &str, now: &str) -> bool {
    let gone = before
        .lines()
        .filter(|&line| now.lines().all(|new| new != line));
    let new = now
        .lines()
        .filter(|&line| before.lines().all(|old| old != line));
    let changes: Vec<String> = gone
        .map(|line| format!("- {line}"))
        .chain(new.map(|line| format!("+ {line}")))
        .collect();
    if before != now {
        println!("{file} is not what is generated now (SAMPAN_REGENERATE=1 renews it):");
        println!("{}", changes.join("\n"));
    }
    before == now
}

impl Language {
    /// The declarations, each on a line of its own; members are indented.
    fn surface(&self, code: &str) -> String {
        let mut surface = String::new();
        let mut braces = 0;
        let mut inside = false;
        let mut open: Option<String> = None;
        for line in without_comments(code) {
            let before = braces;
            braces += balance(&line, '{', '}');
            let line = without_annotation(line.trim());
            // Swift puts the access level of some enums on a line of its own.
            let joined = match open.take() {
                Some(start) => format!("{start} {line}"),
                None => line.to_owned(),
            };
            // The body of a function may begin on the line of its declaration.
            let joined = match joined.split_once('{') {
                Some((declared, _)) if joined.starts_with("public func ") => declared.to_owned(),
                _ => joined,
            };
            let top = before == 0 && starts(&joined, self.tops);
            let member = before == 1 && inside && self.is_member(&joined);
            if before == 0 && top {
                inside = !MACHINERY.iter().any(|word| joined.contains(word));
            } else if before == 0
                && starts(
                    line,
                    &[
                        "extension ",
                        "open class ",
                        "private ",
                        "fileprivate ",
                        "final class ",
                    ],
                )
            {
                inside = false;
            }
            if !(inside && (top || member)) {
                continue;
            }
            // A declaration may take several lines.
            if balance(&joined, '(', ')') > 0 {
                open = Some(joined);
            } else {
                surface.push_str(&tidy(&joined, if top { "" } else { "    " }));
            }
        }
        surface
    }

    /// The ways to make an object: `public static func`, or the functions of a companion object.
    fn constructors(&self, code: &str) -> String {
        let (class, makers) = self.makers;
        let mut surface = String::new();
        let (mut braces, mut name, mut is_companion) = (0, None, false);
        for line in without_comments(code) {
            let (before, line) = (braces, line.trim());
            braces += balance(line, '{', '}');
            if before == 0 && line != "{" {
                name = line
                    .strip_prefix(class)
                    .and_then(|rest| rest.split([':', ' ']).next().map(str::to_owned));
            }
            if before == 1 {
                is_companion = line.starts_with("companion object");
            }
            let text = without_annotation(line);
            let depth = if is_companion { 2 } else { 1 };
            let is_made = self.name == "swift" || is_companion || text.starts_with("constructor(");
            let own = MACHINERY.iter().any(|word| text.contains(word)) || text.contains("==");
            if let Some(name) = &name
                && before == depth
                && is_made
                && !own
                && starts(text, makers)
            {
                surface.push_str(&tidy(&format!("{class}{name}: {text}"), ""));
            }
        }
        surface
    }

    /// The declarations of the hand-written layer, each file under its name.
    fn layer(&self, tree: &Tree) -> Result<String, Problem> {
        let failed = |cause| Problem::while_doing("reading a layer", cause);
        let (folders, ending) = self.layer;
        let mut surface = String::new();
        for folder in folders {
            let entries = fs::read_dir(tree.root.join(folder)).map_err(failed)?;
            let mut files = Vec::new();
            for entry in entries {
                files.push(entry.map_err(failed)?.path());
            }
            files.retain(|file| file.to_string_lossy().ends_with(ending));
            files.sort();
            for file in files {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let code = fs::read_to_string(&file).map_err(failed)?;
                surface.push_str(&format!("\n// {name}, by hand\n{}", (self.read)(&code)));
            }
        }
        Ok(surface)
    }

    fn is_member(&self, line: &str) -> bool {
        let constant = line.trim_end_matches([',', ';']);
        let is_constant = !constant.is_empty()
            && constant
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter == '_');
        starts(line, self.members) || is_constant
    }
}

/// A declaration without the `@Throws(…)` before it.
fn without_annotation(line: &str) -> &str {
    let rest = line.strip_prefix("@Throws(");
    let rest = rest.and_then(|rest| rest.split_once(')'));
    rest.map_or(line, |(_, rest)| rest.trim_start())
}

fn starts(line: &str, beginnings: &[&str]) -> bool {
    beginnings
        .iter()
        .any(|beginning| line.starts_with(beginning))
}

/// The lines of code that are not empty, without the documentation between them.
fn without_comments(code: &str) -> impl Iterator<Item = String> {
    let mut comment = false;
    code.lines().filter_map(move |line| {
        let mut kept = String::new();
        let mut rest = line;
        while !rest.is_empty() {
            let (mark, skipped) = if comment { ("*/", true) } else { ("/*", false) };
            let (before, after) = rest
                .split_once(mark)
                .map_or((rest, None), |(before, after)| {
                    comment = !comment;
                    (before, Some(after))
                });
            if !skipped {
                kept.push_str(before);
            }
            rest = after.unwrap_or_default();
        }
        let is_code = !kept.trim().is_empty() && !kept.trim().starts_with("//");
        is_code.then_some(kept)
    })
}

/// The number of one bracket in a line, less the number of the other.
pub(crate) fn balance(line: &str, open: char, close: char) -> i32 {
    line.chars().fold(0, |sum, letter| {
        sum + i32::from(letter == open) - i32::from(letter == close)
    })
}

/// One declaration as a line, without its body and the generator's spacing.
fn tidy(declaration: &str, indent: &str) -> String {
    let words: Vec<&str> = declaration.split_whitespace().collect();
    let line = words.join(" ").replace('`', "").replace(" ,", ",");
    let line = line
        .replace("( ", "(")
        .replace(" )", ")")
        .replace("kotlin.", "");
    let line = line.trim_end_matches(['{', ' ', ':']);
    format!("{indent}{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surface(name: &str, code: &str) -> String {
        let language = LANGUAGES.iter().find(|language| language.name == name);
        language.unwrap().surface(code)
    }

    #[test]
    fn a_swift_surface_has_declarations_and_no_machinery_or_documentation() {
        let code = "/**\n * A { place.\n */\npublic enum Place: Equatable {\n    case here\n    case there(\
            /**\n * How far.\n */far: UInt32\n    )\n}\npublic struct FfiConverterPlace {\n    func no() {}\n}\n\
            public func find(id: Id)throws  -> Place  {\n    return try! no()\n}\n\
            public func sink(place: Place)throws   {try rustCallWithError(FfiConverterPlace_lift) {\n    no()\n}\n}\n";
        assert_eq!(
            surface("swift", code),
            "public enum Place: Equatable\n    case here\n    case there(far: UInt32)\n\
             public func find(id: Id)throws -> Place\npublic func sink(place: Place)throws\n"
        );
    }

    #[test]
    fn a_kotlin_surface_has_constants_and_fields_on_one_line_each() {
        let code = "enum class Data {\n    KEEP,\n    WIPE;\n    companion object\n}\n\
            data class Sum (\n    /**\n * Unread. */\n    val `messages`: kotlin.ULong\n    ,\n    val `n`: Int\n){\n}\n";
        assert_eq!(
            surface("kotlin", code),
            "enum class Data\n    KEEP,\n    WIPE;\ndata class Sum (val messages: ULong, val n: Int)\n"
        );
    }
}

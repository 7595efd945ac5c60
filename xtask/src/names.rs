//! Names that would break or blur the code of a language, looked for in the surfaces.
//!
//! | rule | why |
//! |---|---|
//! | a Swift type has no name of Foundation, Combine, SwiftUI, Testing or the language | a file that imports both must say which one is meant |
//! | a variant in Kotlin has no name of a type that a field of its class is written with | the variant hides the type, and the code does not compile |
//! | no function of an object is called `close` or `destroy`, no field of an error `message` or `cause` | the generated code has these itself |
//! | no name is a word of the language | an app would have to write it in backticks |
//! | no two types have one name | with those that are made for an object: `XInterface`, `XProtocol` |

use std::collections::{BTreeMap, BTreeSet};

/// Types that a Swift file sees without naming their module, in an app or in its tests.
const SWIFT_TYPES: [&str; 118] = [
    "Actor",
    "Alert",
    "Alignment",
    "Anchor",
    "Angle",
    "Animation",
    "Any",
    "AnyCancellable",
    "AnyView",
    "App",
    "Array",
    "AsyncSequence",
    "AsyncStream",
    "Attachment",
    "AttributedString",
    "Binding",
    "Bool",
    "Bug",
    "Bundle",
    "Button",
    "Calendar",
    "Cancellable",
    "CharacterSet",
    "Circle",
    "Clock",
    "Codable",
    "Collection",
    "Color",
    "Comment",
    "Comparable",
    "Confirmation",
    "Configuration",
    "Content",
    "Data",
    "Date",
    "DateInterval",
    "Decimal",
    "Decodable",
    "Deferred",
    "Dictionary",
    "Dimension",
    "Divider",
    "Double",
    "Duration",
    "Empty",
    "Encodable",
    "Environment",
    "Equatable",
    "Error",
    "Fail",
    "FileHandle",
    "FileManager",
    "Font",
    "Form",
    "Formatter",
    "Future",
    "Gesture",
    "Grid",
    "Group",
    "Hashable",
    "Host",
    "Identifiable",
    "Image",
    "IndexPath",
    "Int",
    "Issue",
    "Just",
    "KeyPath",
    "Label",
    "Layout",
    "Link",
    "List",
    "Locale",
    "Measurement",
    "Menu",
    "Mirror",
    "Notification",
    "Operation",
    "OperationQueue",
    "Optional",
    "Path",
    "Pipe",
    "Predicate",
    "Process",
    "Progress",
    "Publisher",
    "Record",
    "Result",
    "Scanner",
    "Scene",
    "Section",
    "Sendable",
    "Sequence",
    "Set",
    "Shape",
    "SourceLocation",
    "Spacer",
    "State",
    "Stream",
    "String",
    "Subject",
    "Subscriber",
    "Subscription",
    "Table",
    "Tag",
    "Task",
    "Test",
    "Text",
    "Thread",
    "TimeZone",
    "Timer",
    "Trait",
    "Transaction",
    "Transition",
    "Unit",
    "View",
    "Void",
    "Widget",
];

const SWIFT_WORDS: [&str; 30] = [
    "as",
    "associatedtype",
    "break",
    "case",
    "catch",
    "class",
    "continue",
    "default",
    "defer",
    "deinit",
    "do",
    "else",
    "enum",
    "extension",
    "false",
    "for",
    "func",
    "guard",
    "if",
    "import",
    "in",
    "init",
    "is",
    "nil",
    "repeat",
    "return",
    "self",
    "switch",
    "try",
    "while",
];

const KOTLIN_WORDS: [&str; 29] = [
    "as",
    "break",
    "class",
    "continue",
    "do",
    "else",
    "false",
    "for",
    "fun",
    "if",
    "in",
    "interface",
    "is",
    "null",
    "object",
    "package",
    "return",
    "super",
    "suspend",
    "this",
    "throw",
    "true",
    "try",
    "typealias",
    "typeof",
    "val",
    "var",
    "when",
    "while",
];

/// The faults of the names of a language's surface.
pub(crate) fn complaints(language: &str, surface: &str) -> Vec<String> {
    let types = types(surface);
    let mut found = twice(surface);
    if language == "swift" {
        let taken: BTreeSet<&str> = SWIFT_TYPES.into_iter().collect();
        let clashing = types.keys().filter(|name| taken.contains(*name));
        found.extend(clashing.map(|name| format!("swift: {name} is a type of another module")));
        found.extend(words(language, surface, &SWIFT_WORDS));
    } else {
        found.extend(words(language, surface, &KOTLIN_WORDS));
        for (name, members) in &types {
            found.extend(hidden(name, members));
            found.extend(own(name, members));
        }
    }
    found
}

/// The types of a surface with their members, in the order that they have there.
fn types(surface: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut types: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut last = "";
    for line in surface.lines() {
        if let Some(member) = line.strip_prefix("    ") {
            types.entry(last).or_default().push(member);
        } else if let Some(name) = type_name(line) {
            last = name;
            types.entry(name).or_default();
        } else {
            last = "";
        }
    }
    types.remove("");
    types
}

const KINDS: [&str; 10] = [
    "data class ",
    "enum class ",
    "sealed class ",
    "open class ",
    "class ",
    "interface ",
    "protocol ",
    "struct ",
    "enum ",
    "typealias ",
];

/// The name of the type that a line declares.
fn type_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("public ").unwrap_or(line);
    let rest = KINDS.iter().find_map(|kind| line.strip_prefix(kind))?;
    rest.split([' ', ':', '(', '<']).next()
}

/// Types that are declared twice. An object's class and constructors are declared beside its interface.
fn twice(surface: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    // Each way to make an object stands on a line of its own.
    let names = surface
        .lines()
        .filter(|line| !line.starts_with(' ') && !line.starts_with("open class "));
    let names = names.filter_map(type_name);
    names
        .filter(|name| !seen.insert(*name))
        .map(|name| format!("{name} is declared twice"))
        .collect()
}

/// Names that are words of the language.
fn words(language: &str, surface: &str, reserved: &[&str]) -> Vec<String> {
    let reserved: BTreeSet<&str> = reserved.iter().copied().collect();
    let mut found = Vec::new();
    for line in surface.lines() {
        let names = named(line).into_iter();
        found.extend(names.filter(|name| reserved.contains(name)).map(|name| {
            format!(
                "{language}: {name} is a word of the language: {}",
                line.trim()
            )
        }));
    }
    found
}

/// The names that a line gives: of a function, a case, a field, a parameter.
fn named(line: &str) -> Vec<&str> {
    let line = line.trim();
    let mut names = Vec::new();
    for start in [
        "suspend fun ",
        "fun ",
        "func ",
        "case ",
        "public let ",
        "public var ",
    ] {
        if let Some(rest) = line.strip_prefix(start) {
            names.extend(rest.split(['(', ':', ' ', '<']).next());
        }
    }
    let fields = line.split_once('(').map_or("", |(_, fields)| fields);
    for field in fields.split(", ") {
        if let Some((name, _)) = field.split_once(": ") {
            names.extend(name.split_whitespace().last());
        }
    }
    names
}

/// Variants that hide the type of a field of their class.
fn hidden(class: &str, members: &[&str]) -> Vec<String> {
    let variants: BTreeSet<&str> = members
        .iter()
        .filter_map(|member| type_name(member))
        .collect();
    let fields = members.iter().filter(|member| type_name(member).is_some());
    let mut found = Vec::new();
    for member in fields {
        let fields = member.split_once('(').map_or("", |(_, fields)| fields);
        let kinds = fields
            .split(", ")
            .filter_map(|field| field.split_once(": "));
        for (_, kind) in kinds {
            // With its package the type is found, even if another type of that name stands nearer.
            let words = kind
                .split(['<', '>', '?', ')', ' '])
                .filter(|word| !word.contains('.'));
            found.extend(
                words.filter(|word| variants.contains(word)).map(|word| {
                    format!("kotlin: {class}.{word} hides the type {word} of `{member}`")
                }),
            );
        }
    }
    found
}

/// Names that the generated class has itself.
fn own(class: &str, members: &[&str]) -> Vec<String> {
    let object = class.ends_with("Interface");
    let error = class.ends_with("Exception");
    let is_own = |name: &&str| {
        (object && matches!(*name, "close" | "destroy"))
            || (error && matches!(*name, "message" | "cause"))
    };
    let names = members.iter().flat_map(|member| named(member));
    names
        .filter(is_own)
        .map(|name| format!("kotlin: {class} has a {name} of its own"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_whole_are_not_complained_of() {
        let kotlin = "public interface TalkInterface\n    suspend fun send(text: String): Sent\n\
                      sealed class FillState\n    data class Gap(val state: chat.sampan.Gap) : FillState()\n\
                      data class Sent (val text: String)\nenum class Data\n    KEEP,\n    WIPE;\n";
        assert_eq!(complaints("kotlin", kotlin), Vec::<String>::new());
        let swift = "public protocol TalkProtocol: AnyObject, Sendable\n    func send(text: String) async throws\n\
                     public enum Mood: Equatable\n    case good(at: Date)\n";
        assert_eq!(complaints("swift", swift), Vec::<String>::new());
    }

    #[test]
    fn a_variant_that_hides_the_type_of_a_field_is_found() {
        let surface = "sealed class SampanException: Exception()\n    class Gap(val gap: List<Gap?>) : SampanException()\n";
        let found = complaints("kotlin", surface);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found.concat().contains("hides the type Gap"), "{found:?}");
    }

    #[test]
    fn a_name_that_something_else_has_is_found() {
        let swift =
            "public struct Attachment: Equatable\npublic enum Mood: Equatable\n    case default\n";
        assert_eq!(complaints("swift", swift).len(), 2);
        let kotlin = "public interface TalkInterface\n    fun close()\n    fun show(in: Int)\n\
                      sealed class SampanException: Exception()\n    class Bad(val message: String) : SampanException()\n\
                      data class Draft (val a: Int)\ndata class Draft (val b: Int)\n";
        assert_eq!(complaints("kotlin", kotlin).len(), 4);
    }
}

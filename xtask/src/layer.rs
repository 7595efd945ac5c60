//! The declarations of the hand-written layers, a declaration a line, for `cargo xtask surface`.
//!
//! A layer is written in the project's own style, so the reader is simple: a declaration begins on a line of
//! its own, and ends before its body or its value.

/// A language's way to declare names for an app.
struct Speech {
    /// Words before a declaration that are part of it.
    modifiers: &'static [&'static str],
    /// Words that begin a declaration.
    kinds: &'static [&'static str],
    /// Words that keep a declaration from apps.
    hidden: &'static [&'static str],
    /// True if a declaration without a word of access is for apps.
    is_open: bool,
}

const SWIFT: Speech = Speech {
    modifiers: &[
        "@MainActor",
        "@Observable",
        "final",
        "mutating",
        "static",
        "convenience",
        "private(set)",
        "nonisolated",
    ],
    kinds: &[
        "actor",
        "case",
        "class",
        "enum",
        "extension",
        "func",
        "init",
        "let",
        "protocol",
        "struct",
        "typealias",
        "var",
    ],
    hidden: &["private", "fileprivate", "internal"],
    is_open: false,
};

const KOTLIN: Speech = Speech {
    modifiers: &[
        "abstract",
        "data",
        "enum",
        "inline",
        "open",
        "operator",
        "sealed",
        "suspend",
        "const",
        "companion",
    ],
    kinds: &[
        "class",
        "fun",
        "interface",
        "object",
        "typealias",
        "val",
        "var",
    ],
    hidden: &["private", "internal", "override"],
    is_open: true,
};

/// The declarations of a Swift file.
pub(crate) fn swift(code: &str) -> String {
    SWIFT.declarations(code)
}

/// The declarations of a Kotlin file.
pub(crate) fn kotlin(code: &str) -> String {
    KOTLIN.declarations(code)
}

/// A body that is open.
struct Body {
    is_seen: bool,
    /// Members of a protocol, cases of an enumeration and members of an extension that is public are public.
    is_public: bool,
}

impl Speech {
    fn declarations(&self, code: &str) -> String {
        let mut out = String::new();
        let mut bodies: Vec<Body> = Vec::new();
        let mut open: Option<String> = None;
        for line in code.lines().map(str::trim) {
            if line.starts_with("//")
                || line.starts_with('*')
                || line.starts_with("/*")
                || line.starts_with('#')
            {
                continue;
            }
            let text = match open.take() {
                Some(start) => format!("{start} {line}"),
                None => line.to_owned(),
            };
            let is_reached = bodies.iter().all(|body| body.is_seen);
            let declares = self.begins(&text);
            if is_reached && declares && crate::surface::balance(&text, '(', ')') > 0 {
                open = Some(text);
                continue;
            }
            let is_public = bodies.last().is_some_and(|body| body.is_public);
            let seen = is_reached && declares && self.is_for_apps(&text, is_public);
            if seen {
                let indent = "    ".repeat(bodies.len());
                out.push_str(&format!("{indent}{}\n", self.head(&text)));
            }
            let opened = crate::surface::balance(&text, '{', '}');
            for _ in 0..opened {
                bodies.push(Body {
                    // Inside of a function or a value nothing is for apps.
                    is_seen: seen && self.is_container(&text),
                    is_public: self.opens_public(&text),
                });
            }
            for _ in opened..0 {
                bodies.pop();
            }
        }
        out
    }

    /// The words of a declaration up to its kind.
    fn words<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        text.split([' ', '(', '<']).filter(|word| !word.is_empty())
    }

    fn begins(&self, text: &str) -> bool {
        for word in self.words(text) {
            let word = word.trim_end_matches('?');
            if self.kinds.contains(&word) {
                return true;
            }
            let is_before = self.modifiers.contains(&word)
                || self.hidden.contains(&word)
                || word.starts_with('@')
                || matches!(word, "public" | "set)" | "set");
            if !is_before {
                return false;
            }
        }
        false
    }

    fn is_for_apps(&self, text: &str, is_public: bool) -> bool {
        let before: Vec<&str> = self
            .words(text)
            .take_while(|word| !self.kinds.contains(word))
            .collect();
        // Swift's `private(set)` hides the writing alone.
        let hides =
            !text.contains("private(set)") && before.iter().any(|word| self.hidden.contains(word));
        let says = before.contains(&"public");
        let is_extension = text.starts_with("extension ");
        !hides && (self.is_open || says || is_public || is_extension)
    }

    fn is_container(&self, text: &str) -> bool {
        let kind = self.words(text).find(|word| self.kinds.contains(word));
        kind.is_some_and(|kind| {
            matches!(
                kind,
                "actor"
                    | "class"
                    | "enum"
                    | "extension"
                    | "interface"
                    | "object"
                    | "protocol"
                    | "struct"
            )
        })
    }

    fn opens_public(&self, text: &str) -> bool {
        let kind = self.words(text).find(|word| self.kinds.contains(word));
        text.starts_with("public extension ")
            || kind.is_some_and(|kind| matches!(kind, "protocol" | "enum"))
    }

    /// A declaration without its body and its value.
    fn head(&self, text: &str) -> String {
        let mut depth = 0_i32;
        let mut end = text.len();
        let mut before = ' ';
        for (at, letter) in text.char_indices() {
            match letter {
                '(' | '<' | '[' => depth += 1,
                '>' if before == '-' => {}
                ')' | '>' | ']' => depth -= 1,
                '{' if depth == 0 => end = end.min(at),
                '=' if depth == 0 && before == ' ' => end = end.min(at),
                _ => {}
            }
            before = letter;
        }
        let head = text.get(..end).unwrap_or(text);
        let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
        head.replace("( ", "(")
            .replace(" )", ")")
            .replace(",)", ")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swift_layer_shows_what_is_public_and_what_it_extends() {
        let code = "import X\n\n/// A { state.\npublic struct State: Sendable {\n    public private(set) var version = 0\n    \
                    var hidden = 1\n    public init() {}\n    public mutating func apply(\n        _ update: Update,\n        \
                    to: [Int]\n    ) -> Int {\n        let inner = 2\n    }\n}\n#if canImport(Combine)\n    extension Client {\n        \
                    /// Its states.\n        public var states: States<State> { States { self } }\n    }\n#endif\n\
                    public enum Word {\n    case one\n}\nprivate final class Gone {\n    public func no() {}\n}\n";
        assert_eq!(
            swift(code),
            "public struct State: Sendable\n    public private(set) var version\n    public init()\n    \
             public mutating func apply(_ update: Update, to: [Int]) -> Int\nextension Client\n    \
             public var states: States<State>\npublic enum Word\n    case one\n"
        );
    }

    #[test]
    fn a_kotlin_layer_shows_what_is_not_private() {
        let code = "package x\n\n/** A. */\ndata class State(\n    val version: Long = 0,\n    val rows: List<Row> = emptyList(),\n) {\n    \
                    fun applied(update: Update): State {\n        val inner = 1\n        return this\n    }\n    \
                    override fun toString(): String = \"\"\n}\n\nprivate fun gone() {}\n\n/** Its states. */\n\
                    val Client.states: Flow<State>\n    get() = flow {\n        val no = 1\n    }\n\
                    suspend fun Engine.client(id: Id): Client = client(id, Options())\n";
        assert_eq!(
            kotlin(code),
            "data class State(val version: Long = 0, val rows: List<Row> = emptyList())\n    \
             fun applied(update: Update): State\nval Client.states: Flow<State>\n\
             suspend fun Engine.client(id: Id): Client\n"
        );
    }
}

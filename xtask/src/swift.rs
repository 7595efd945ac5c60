//! The additions to the generated Swift: cancelling a `Task` ends the call that it waits for, and the cases of
//! errors begin with a small letter.
//!
//! The generator leaves a call waiting when its task was cancelled, for ever if the answer never comes; Kotlin
//! and Python end the call. Every asynchronous call of the library has a function that cancels the call: the
//! generated code is made to call this function. Swift then throws `CancellationError`, as its own calls do.
//!
//! The texts that are replaced are those of the pinned version of the generator. If one of them is not found,
//! generating fails: a newer generator may do all this by itself.

use crate::Problem;
use crate::words::{
    Default, Defaults, Renamed, Speech, documented, small, unaliased, words_replaced,
};

/// Texts of the generated code, and the texts that take their place.
const REPLACEMENTS: [(&str, &str); 5] = [
    (
        "fileprivate func uniffiRustCallAsync<F, T>(\n",
        concat!(
            "/// A call under way. Cancelling one that has ended would touch freed memory: the lock keeps\n",
            "/// the two apart.\n",
            "fileprivate final class UniffiCall: @unchecked Sendable {\n",
            "    private let lock = NSLock()\n",
            "    private var future: UInt64?\n",
            "    private let cancelFunc: (UInt64) -> ()\n",
            "    private let freeFunc: (UInt64) -> ()\n",
            "\n",
            "    init(_ future: UInt64, _ cancelFunc: @escaping (UInt64) -> (), ",
            "_ freeFunc: @escaping (UInt64) -> ()) {\n",
            "        self.future = future\n",
            "        self.cancelFunc = cancelFunc\n",
            "        self.freeFunc = freeFunc\n",
            "    }\n",
            "\n",
            "    func cancel() {\n",
            "        lock.lock()\n",
            "        defer { lock.unlock() }\n",
            "        if let future { cancelFunc(future) }\n",
            "    }\n",
            "\n",
            "    func free() {\n",
            "        lock.lock()\n",
            "        let ended = future\n",
            "        future = nil\n",
            "        lock.unlock()\n",
            "        if let ended { freeFunc(ended) }\n",
            "    }\n",
            "}\n",
            "\n",
            "fileprivate func uniffiRustCallAsync<F, T>(\n",
        ),
    ),
    (
        "    freeFunc: (UInt64) -> (),\n",
        "    cancelFunc: @escaping (UInt64) -> (),\n    freeFunc: @escaping (UInt64) -> (),\n",
    ),
    (
        "    defer {\n        freeFunc(rustFuture)\n    }\n",
        "    let call = UniffiCall(rustFuture, cancelFunc, freeFunc)\n    defer { call.free() }\n",
    ),
    (
        "        case CALL_CANCELLED:\n            fatalError(\"Cancellation not supported yet\")\n",
        "        case CALL_CANCELLED:\n            throw CancellationError()\n",
    ),
    (
        "        pollResult = await withUnsafeContinuation {\n",
        "        pollResult = await withTaskCancellationHandler { await withUnsafeContinuation {\n",
    ),
];

/// The end of the loop in which a call is waited for.
const LOOP_END: (&str, &str) = (
    "        }\n    } while pollResult != UNIFFI_RUST_FUTURE_POLL_READY\n",
    "        } } onCancel: { call.cancel() }\n    } while pollResult != UNIFFI_RUST_FUTURE_POLL_READY\n",
);

/// Types that Swift has itself.
const RENAMED: Renamed<'static> = &[
    ("Count", "Int"),
    ("Secret", "HiddenText"),
    ("PathBuf", "URL"),
    ("Timestamp", "Date"),
];

const SPEECH: Speech = Speech {
    throws: "- Throws: ",
    small_cases: true,
};

/// The generated code, as an app should see it.
pub(crate) fn finished(generated: &str, defaults: &Defaults) -> Result<String, Problem> {
    let code = cancellable(generated)?;
    let code = signed(&code)?;
    let code = with_defaults(&code, defaults);
    let (code, cases) = with_small_cases(&code)?;
    let code = documented(&unaliased(&code, RENAMED), &SPEECH, &cases);
    Ok(discardable(&code))
}

/// The answers of writes that only tell of the write: an app need not look at them.
const DISCARDABLE: [&str; 4] = ["CommitSeq", "SentMessage", "DiscardedWork", "Loaded"];

/// Marks functions whose answer an app may ignore.
fn discardable(code: &str) -> String {
    let mut marked = String::with_capacity(code.len());
    for line in code.lines() {
        let head = line.trim_start();
        let is_function = head.starts_with("func ") || head.starts_with("open func ");
        let answer = line.rsplit("-> ").next().unwrap_or_default();
        let answer = answer.trim_end_matches('{').trim();
        if is_function && line.contains("-> ") && DISCARDABLE.contains(&answer) {
            let indent = line.len().saturating_sub(head.len());
            marked.push_str(&" ".repeat(indent));
            marked.push_str("@discardableResult\n");
        }
        marked.push_str(line);
        marked.push('\n');
    }
    marked
}

/// Numbers without a sign fit no API of Swift's: they are `Int`. A number that is too large is the largest
/// `Int`.
fn signed(code: &str) -> Result<String, Problem> {
    let mut code = code.to_owned();
    for unsigned in UNSIGNED {
        let head = format!("struct FfiConverter{unsigned}: FfiConverterPrimitive {{\n");
        let parts = code.split_once(&head).and_then(|(before, rest)| {
            let (_, after) = rest.split_once("\n}\n")?;
            Some((before, after))
        });
        if let Some((before, after)) = parts {
            code = format!(
                "{before}struct FfiConverter{unsigned}: FfiConverter {{\n    typealias FfiType = \
                 {unsigned}\n    typealias SwiftType = Int\n\n    public static func lift(_ value: \
                 {unsigned}) throws -> Int {{ Int(clamping: value) }}\n\n    public static func lower(_ \
                 value: Int) -> {unsigned} {{ {unsigned}(clamping: value) }}\n\n    public static func \
                 read(from buf: inout (data: Data, offset: Data.Index)) throws -> Int {{\n        try \
                 lift(readInt(&buf))\n    }}\n\n    public static func write(_ value: Int, into buf: inout \
                 [UInt8]) {{\n        writeInt(&buf, lower(value))\n    }}\n}}\n{after}"
            );
        }
    }
    let lines = code.lines().map(|line| {
        if is_declaration(line) {
            signed_line(line)
        } else {
            line.to_owned()
        }
    });
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

const UNSIGNED: [&str; 3] = ["UInt16", "UInt32", "UInt64"];

/// True if a line declares something that an app can name: no machinery.
fn is_declaration(line: &str) -> bool {
    let text = line.trim_start();
    let is_field = text.starts_with("*/")
        || ["public let ", "public var ", "public typealias "]
            .iter()
            .any(|start| text.starts_with(start));
    let is_function = ["func ", "open func ", "public func "]
        .iter()
        .any(|start| text.starts_with(start))
        && !text.contains("FfiConverter")
        && !text.contains("uniffi")
        && !text.contains("handle: ")
        && !text.contains("obj: T)");
    let is_optional = text.starts_with("typealias SwiftType = ") && text.ends_with('?');
    is_field || is_function || is_optional
}

fn signed_line(line: &str) -> String {
    let mut line = line.to_owned();
    for unsigned in UNSIGNED {
        while let Some((before, rest)) = line.split_once(&format!(" = {unsigned}(")) {
            let Some((number, after)) = rest.split_once(')') else {
                break;
            };
            line = format!("{before} = {number}{after}");
        }
    }
    words_replaced(&line, |word| {
        UNSIGNED.contains(&word).then(|| "Int".to_owned())
    })
}

/// Gives fields of input records the defaults that they have in Rust.
fn with_defaults(code: &str, defaults: &Defaults) -> String {
    let mut record = None;
    let mut lines = Vec::new();
    for line in code.lines() {
        if let Some(rest) = line.strip_prefix("public struct ") {
            record = rest.split([':', ' ']).next();
        } else if line == "}" {
            record = None;
        }
        let field = line.trim_start().strip_prefix("*/");
        let field = field.and_then(|rest| rest.split_once(": "));
        let kind = field.map(|(_, kind)| kind.trim_end_matches([',', ' ']));
        let default = kind.and_then(|kind| Some((kind, defaults.of(record?, kind)?)));
        lines.push(match default {
            Some((kind, default)) => {
                let value = match default {
                    Default::Call(call) => format!("{call}()"),
                    Default::Variant(_, variant) => format!(".{}", small(&variant)),
                };
                line.replace(&format!(": {kind}"), &format!(": {kind} = {value}"))
            }
            None => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

/// The cases of an error begin with a small letter, as Swift's do.
fn with_small_cases(code: &str) -> Result<(String, Vec<String>), Problem> {
    let error = code.split_once("enum SampanError:");
    let body = error.and_then(|(_, rest)| rest.split_once("\n}\n"));
    let (body, _) =
        body.ok_or_else(|| Problem("the generated Swift has no SampanError".to_owned()))?;
    let names = body.lines().filter_map(|line| {
        let name = line.trim_start().strip_prefix("case ")?.split('(').next()?;
        let is_large = name.starts_with(|first: char| first.is_ascii_uppercase());
        is_large.then(|| name.trim().to_owned())
    });
    let cases: Vec<String> = names.collect();
    let mut lines = Vec::new();
    for line in code.lines() {
        let mut line = line.to_owned();
        let names = cases.iter().filter(|name| line.contains(name.as_str()));
        for name in names.cloned().collect::<Vec<_>>() {
            for before in ["case ", "case .", "case let .", "return .", " == ."] {
                for after in ["(", ":", "\n", " "] {
                    let old = format!("{before}{name}{after}");
                    let new = match small(&name).as_str() {
                        // A word of Swift's own.
                        "internal" => format!("{before}`internal`{after}"),
                        word => format!("{before}{word}{after}"),
                    };
                    line = format!("{line}\n").replace(&old, &new);
                    line.truncate(line.trim_end_matches('\n').len());
                }
            }
        }
        lines.push(line);
    }
    Ok((lines.join("\n") + "\n", cases))
}

/// The generated code, with calls that can be cancelled.
fn cancellable(generated: &str) -> Result<String, Problem> {
    let mut code = generated.to_owned();
    for (old, new) in REPLACEMENTS.into_iter().chain([LOOP_END]) {
        if code.matches(old).count() != 1 {
            return Err(Problem(format!(
                "the generated Swift is not what is known of it; not found once: {old}"
            )));
        }
        code = code.replace(old, new);
    }
    let mut calls = String::with_capacity(code.len());
    for line in code.lines() {
        if line.trim_start().starts_with("freeFunc: ffi_") {
            let cancel = line
                .replace("freeFunc:", "cancelFunc:")
                .replace("_rust_future_free_", "_rust_future_cancel_");
            calls.push_str(&cancel);
            calls.push('\n');
        }
        calls.push_str(line);
        calls.push('\n');
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_given_the_function_that_cancels_it() {
        let mut generated: String = REPLACEMENTS.iter().map(|(old, _)| *old).collect();
        generated.push_str(LOOP_END.0);
        generated.push_str("            freeFunc: ffi_sampan_rust_future_free_u64,\n");
        let code = cancellable(&generated).unwrap();
        let call = "            cancelFunc: ffi_sampan_rust_future_cancel_u64,\n            \
                    freeFunc: ffi_sampan_rust_future_free_u64,\n";
        assert!(code.contains(call), "{code}");
        assert!(!code.contains("fatalError"));
    }

    #[test]
    fn numbers_have_a_sign_and_fields_have_defaults() {
        let code = "public struct Config: Equatable {\n    public var mood: Mood\n    public init(\n        \
                    */mood: Mood, \n        */size: UInt64?\n    ) {}\n}\nopen func load(limit: UInt32 = \
                    UInt32(50))async throws  -> Int  {\n    uniffi(handle: UInt64)\n}\n";
        let defaults = Defaults::read("pub enum Mood {\n    #[default]\n    VeryGood,\n}\n");
        let code = with_defaults(&signed(code).unwrap(), &defaults);
        assert_eq!(
            code,
            "public struct Config: Equatable {\n    public var mood: Mood\n    public init(\n        \
             */mood: Mood = .veryGood, \n        */size: Int?\n    ) {}\n}\nopen func load(limit: Int = \
             50)async throws  -> Int  {\n    uniffi(handle: UInt64)\n}\n"
        );
    }

    #[test]
    fn the_cases_of_an_error_begin_with_a_small_letter() {
        let code = "public enum SampanError: Swift.Error {\n    case NotFound(\n        what: Subject\n    )\n    \
                    case NotConnected\n}\nfunc read() {\n        case 2: return .NotFound(\n        \
                    case let .NotFound(what):\n        case .NotConnected:\n}\n";
        let (code, cases) = with_small_cases(code).unwrap();
        assert_eq!(cases, ["NotFound", "NotConnected"]);
        assert_eq!(
            code,
            "public enum SampanError: Swift.Error {\n    case notFound(\n        what: Subject\n    )\n    \
             case notConnected\n}\nfunc read() {\n        case 2: return .notFound(\n        \
             case let .notFound(what):\n        case .notConnected:\n}\n"
        );
    }

    #[test]
    fn the_answer_of_a_write_may_be_left_where_it_is() {
        let code = "    func edit() async throws  -> CommitSeq\nopen func info()async throws  -> Info  {\n\
                    open func send(a: A)async throws  -> SentMessage  {\n";
        assert_eq!(
            discardable(code),
            "    @discardableResult\n    func edit() async throws  -> CommitSeq\nopen func info()async throws  \
             -> Info  {\n@discardableResult\nopen func send(a: A)async throws  -> SentMessage  {\n"
        );
    }

    #[test]
    fn code_of_another_generator_is_not_taken() {
        assert!(cancellable("fileprivate func somethingElse() {}").is_err());
    }
}

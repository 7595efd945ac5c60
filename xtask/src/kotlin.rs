//! The additions to the generated Kotlin: constructors that Java can call with the values that it has, errors
//! whose `message` is their text, and a twin with futures for each suspending call.
//!
//! The texts that are looked for are those of the pinned version of the generator. If one of them is not found,
//! generating fails.

use crate::Problem;
use crate::words::{Default, Defaults, Renamed, Speech, documented, unaliased, words_replaced};

/// Types that Kotlin has itself.
const RENAMED: Renamed<'static> = &[
    ("Count", "Int"),
    ("Secret", "HiddenText"),
    ("PathBuf", "File"),
    ("Timestamp", "Instant"),
];

const SPEECH: Speech = Speech {
    throws: "@throws SampanException ",
    small_cases: false,
};

/// The generated code, as an app should see it.
pub(crate) fn finished(generated: &str, defaults: &Defaults) -> Result<String, Problem> {
    let code = with_messages(generated)?;
    let code = signed(&code)?;
    let code = with_defaults(&code, defaults);
    let mut code = with_overloads(&code)?;
    // In sealed classes the generator names the package too.
    for (old, _) in RENAMED {
        code = code.replace(&format!("chat.sampan.{old}"), old);
    }
    Ok(documented(&unaliased(&code, RENAMED), &SPEECH, &[]))
}

/// Numbers without a sign are awkward in Kotlin and closed to Java: they are `Int` and `Long`. A number
/// that is too large for these is the largest that they have.
fn signed(code: &str) -> Result<String, Problem> {
    let code = converter(code, "UInt", "Int", "4UL")?;
    let code = converter(&code, "ULong", "Long", "8UL")?;
    let lines = code.lines().map(|line| {
        if !line.contains("kotlin.UInt") && !line.contains("kotlin.ULong") {
            return line.to_owned();
        }
        let line = line
            .replace("kotlin.UInt", "kotlin.Int")
            .replace("kotlin.ULong", "kotlin.Long");
        words_replaced(&line, |word| {
            let is_number = word.starts_with(|first: char| first.is_ascii_digit());
            is_number.then(|| word.replace(['u', 'U'], ""))
        })
    });
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

/// Puts a converter to a number with a sign in the place of the generated one.
fn converter(code: &str, unsigned: &str, number: &str, size: &str) -> Result<String, Problem> {
    let head =
        format!("public object FfiConverter{unsigned}: FfiConverter<{unsigned}, {number}> {{\n");
    let parts = code.split_once(&head).and_then(|(before, rest)| {
        let (_, after) = rest.split_once("\n}\n")?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        // No number of this kind is offered.
        known(
            !code.contains(&format!("kotlin.{unsigned}")),
            "the converter of numbers",
        )?;
        return Ok(code.to_owned());
    };
    Ok(format!(
        "{before}public object FfiConverter{unsigned}: FfiConverter<{number}, {number}> {{\n    \
         override fun lift(value: {number}): {number} = if (value < 0) {number}.MAX_VALUE else value\n    \
         override fun read(buf: ByteBuffer): {number} = lift(buf.get{number}())\n    \
         override fun lower(value: {number}): {number} = value.coerceAtLeast(0)\n    \
         override fun allocationSize(value: {number}) = {size}\n    \
         override fun write(value: {number}, buf: ByteBuffer) {{ buf.put{number}(lower(value)) }}\n}}\n{after}"
    ))
}

/// Gives fields of input records the defaults that they have in Rust.
fn with_defaults(code: &str, defaults: &Defaults) -> String {
    let mut record = None;
    let mut lines = Vec::new();
    for line in code.lines() {
        if let Some(rest) = line.strip_prefix("data class ") {
            record = rest.split_whitespace().next();
        } else if line.starts_with("){") {
            record = None;
        }
        let field = line
            .trim()
            .strip_prefix("val `")
            .and_then(|rest| rest.split_once("`: "));
        let default = field.and_then(|(_, kind)| defaults.of(record?, kind.trim()));
        lines.push(match default {
            Some(Default::Call(call)) => format!("{line} = {call}()"),
            Some(Default::Variant(kind, variant)) => {
                let is_flat = code.contains(&format!("\nenum class {kind} "));
                let name = if is_flat {
                    shouted(&variant)
                } else {
                    variant.clone()
                };
                format!("{line} = {kind}.{name}")
            }
            None => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

/// `LoopbackOnly` as a constant: `LOOPBACK_ONLY`.
fn shouted(word: &str) -> String {
    let mut out = String::new();
    for letter in word.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// Crash reporters show `message`: it is the error's text, and not the list of its fields.
fn with_messages(code: &str) -> Result<String, Problem> {
    let mut lines = Vec::new();
    let mut is_message = false;
    let mut found = 0;
    for line in code.lines() {
        if is_message {
            found += 1;
            lines.push("            get() = toString()");
        } else {
            lines.push(line);
        }
        is_message = line.trim() == "override val message";
    }
    known(found > 0, "the messages of errors")?;
    Ok(lines.join("\n") + "\n")
}

/// A record with defaults has constructors without them, for Java.
fn with_overloads(code: &str) -> Result<String, Problem> {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    let mut found = 0;
    while let Some((before, after)) = rest.split_once("\ndata class ") {
        let head = after.split("\n){").next().unwrap_or_default();
        let (name, fields) = head.split_once(" (").unwrap_or((head, ""));
        let has_defaults = fields.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("val ") && line.contains(" = ")
        });
        out.push_str(before);
        out.push_str("\ndata class ");
        out.push_str(name);
        out.push_str(if has_defaults {
            found += 1;
            " @JvmOverloads constructor"
        } else {
            ""
        });
        rest = after.get(name.len()..).unwrap_or_default();
    }
    out.push_str(rest);
    known(found > 0, "records with defaults")?;
    Ok(out)
}

/// The twins with futures, made of the interfaces of the finished code.
pub(crate) fn futures(code: &str) -> Result<String, Problem> {
    let mut out = String::from(FUTURES_HEAD);
    let mut class: Option<String> = None;
    let mut found = 0;
    let mut suspends = String::new();
    for line in code.lines() {
        if let Some(rest) = line.strip_prefix("public interface ") {
            let name = rest.split_whitespace().next().unwrap_or_default();
            class = name.strip_suffix("Interface").map(str::to_owned);
            suspends.clear();
        } else if line == "}" {
            if let Some(name) = class.take().filter(|_| !suspends.is_empty()) {
                out.push_str(&format!(
                    "\n/** The suspending calls of [{name}] with futures. */\nclass {name}Futures(val \
                     handle: {name}) {{\n{suspends}}}\n"
                ));
            }
        } else if class.is_some()
            && let Some(call) = line.strip_prefix("    suspend fun ")
        {
            found += 1;
            suspends.push_str(&twin(call)?);
        }
    }
    known(found > 0, "suspending calls")?;
    Ok(out)
}

const FUTURES_HEAD: &str = "// Generated: every suspending call with a future, for Java.\n\
    package chat.sampan.futures\n\nimport chat.sampan.*\nimport java.io.File\nimport java.time.Instant\nimport \
    java.util.concurrent.CompletableFuture\nimport kotlinx.coroutines.CoroutineScope\nimport \
    kotlinx.coroutines.Dispatchers\nimport kotlinx.coroutines.future.future\n\n\
    // Cancelling a future cancels its call; no other call is touched.\n\
    private fun <T> later(call: suspend () -> T): CompletableFuture<T> =\n    \
    CoroutineScope(Dispatchers.Default).future { call() }\n";

/// One call: `name(a: A, b: B = c): R`, with backticks.
fn twin(call: &str) -> Result<String, Problem> {
    let call = call.replace('`', "");
    let parts = call.split_once('(').and_then(|(name, rest)| {
        let (parameters, answer) = rest.rsplit_once(')')?;
        Some((name, parameters, answer.trim()))
    });
    let (name, parameters, answer) =
        parts.ok_or_else(|| Problem(format!("a suspending call of another form: {call}")))?;
    let names: Vec<&str> = parameters
        .split(", ")
        .filter_map(|parameter| parameter.split(':').next())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let answer = answer.strip_prefix(':').map_or("Unit", str::trim);
    let overloads = if parameters.contains(" = ") {
        "    @JvmOverloads\n"
    } else {
        ""
    };
    Ok(format!(
        "{overloads}    fun {name}({parameters}): CompletableFuture<{answer}> = later {{ \
         handle.{name}({}) }}\n",
        names.join(", ")
    ))
}

fn known(found: bool, what: &str) -> Result<(), Problem> {
    if found {
        Ok(())
    } else {
        Err(Problem(format!(
            "the generated Kotlin is not what is known of it; not found: {what}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_gets_constructors_errors_their_text_and_calls_a_future() {
        let generated = "\npublic interface TalkInterface {\n    suspend fun `send`(`text`: kotlin.String, \
                         `to`: Count? = null): Sent\n    fun `id`(): Id\n}\n\ndata class Draft (\n    \
                         /** A. */\n    val `text`: kotlin.String = \"\"\n    \n){\n}\n\ndata class Config (\n    val `mood`: Mood\n    , \n    \
                         val `page`: kotlin.Int = 50 \n){\n}\nenum class Mood {\n}\n\ndata class Bare (\n    \
                         val `a`: Count\n    \n){\n}\nclass Gone() : E() {\n        override val message\n            \
                         get() = \"what=1\"\n}\n";
        let defaults = Defaults::read("pub enum Mood {\n    #[default]\n    VeryGood,\n}\n");
        let code = finished(generated, &defaults).unwrap();
        assert!(
            code.contains("data class Draft @JvmOverloads constructor ("),
            "{code}"
        );
        assert!(code.contains("data class Bare ("), "{code}");
        assert!(
            code.contains("val `mood`: Mood = Mood.VERY_GOOD\n"),
            "{code}"
        );
        assert!(code.contains("get() = toString()"), "{code}");
        let futures = futures(&code).unwrap();
        let twin = "    @JvmOverloads\n    fun send(text: kotlin.String, to: Int? = null): \
                    CompletableFuture<Sent> = later { handle.send(text, to) }\n";
        assert!(futures.contains(twin), "{futures}");
        assert!(!futures.contains("id()"), "{futures}");
    }

    #[test]
    fn code_of_another_generator_is_not_taken() {
        assert!(finished("class Something", &Defaults::read("")).is_err());
    }
}

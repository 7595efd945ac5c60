//! What is added to the generated Swift: cancelling a `Task` ends the call that it waits for.
//!
//! The generator leaves a call waiting when its task was cancelled, for ever where the answer never
//! comes; Kotlin and Python end it. Every asynchronous call of the library has a function that
//! cancels it: the generated code is made to call it. Swift then throws `CancellationError`, as its
//! own calls do.
//!
//! The texts that are replaced are those of the pinned version of the generator. Where one is not
//! found, generating fails: a newer generator may do all this by itself.

use crate::Problem;

/// What stands in the generated code, and what takes its place.
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

/// The generated code, with calls that can be cancelled.
pub(crate) fn cancellable(generated: &str) -> Result<String, Problem> {
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
    fn code_of_another_generator_is_not_taken() {
        assert!(cancellable("fileprivate func somethingElse() {}").is_err());
    }
}

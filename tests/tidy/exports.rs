//! The calls that other languages see: how asynchronous ones end.

use crate::code::{code_only, without_tests};
use crate::repository::Source;

/// Asynchronous functions of files that export some, without a `Result`: a task that is cancelled in
/// Swift has no other way out of a call than its error, and the app would crash.
pub(crate) fn complaints(source: &Source) -> Vec<String> {
    let code = code_only(&source.text);
    let code = without_tests(&code);
    if !source.path.starts_with("src/") || !code.contains("uniffi::export") {
        return Vec::new();
    }
    let functions = code.split("async fn ").skip(1);
    let unfit = functions.filter_map(|function| {
        let signature = function.split(['{', ';']).next()?;
        let name = signature.split(['(', '<']).next()?;
        (!signature.contains("-> Result<")).then(|| {
            format!(
                "{}: {name} is asynchronous and gives no Result",
                source.path
            )
        })
    });
    unfit.collect()
}

#[test]
fn an_exported_asynchronous_function_without_a_result_is_found() {
    let source = |text: &str| Source {
        path: "src/api/client.rs".into(),
        text: text.into(),
    };
    let good = "#[uniffi::export]\nimpl C { pub async fn a<T>(&self) -> Result<(), E> { b } }";
    assert_eq!(complaints(&source(good)), Vec::<String>::new());
    let bad = "#[uniffi::export]\nimpl C { pub async fn a(&self) -> Option<Result<(), E>> { b } }";
    assert_eq!(
        complaints(&source(&bad.replace("Option<Result<(), E>>", "u32"))).len(),
        1
    );
    assert_eq!(complaints(&source(bad)).len(), 1);
    assert!(complaints(&source(&bad.replace("#[uniffi::export]", ""))).is_empty());
}

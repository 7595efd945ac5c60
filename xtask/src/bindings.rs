//! `cargo xtask bindings LANGUAGE`: generates the code of a language from the built library.
//!
//! The generator is a program of the workspace with all its features, as every suite builds it, so it costs no
//! build of its own. Its output goes where each language's build looks for it, and is never committed:
//!
//! | language | where |
//! |---|---|
//! | `python` | `python/` in the target folder, with the library beside the module that loads it |
//! | `kotlin` | `bindings/kotlin/target/generated` |
//! | `swift` | `bindings/swift/target/SampanCore` and `…/SampanFFI`: a package's sources must be in it |

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tree::{Tree, cargo};
use crate::words::Defaults;
use crate::{Problem, Verdict};

/// Generates the code of the named languages.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    let tree = Tree::find()?;
    let languages: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if languages.is_empty() {
        return Err(Problem("name a language: swift, kotlin, python".to_owned()));
    }
    build(&tree)?;
    for language in languages {
        match language {
            "python" => python(&tree)?,
            "kotlin" => kotlin(&tree)?,
            "swift" => swift(&tree)?,
            other => return Err(Problem(format!("no bindings for `{other}`"))),
        }
    }
    Ok(Verdict::Good)
}

/// The folder of the Python module.
pub(crate) fn generated_python(tree: &Tree) -> PathBuf {
    tree.target.join("python")
}

fn generated_kotlin(tree: &Tree) -> PathBuf {
    tree.root.join("bindings/kotlin/target/generated")
}

/// Builds the library and the generator, if a suite has not done so before.
fn build(tree: &Tree) -> Result<(), Problem> {
    let arguments = crate::suite::BUILD_LIBRARY;
    let mut command = Command::new(cargo());
    finished(command.args(arguments).current_dir(&tree.root))
}

/// The module loads the library from its own folder.
fn python(tree: &Tree) -> Result<(), Problem> {
    let folder = generated_python(tree);
    generate(tree, "python", &folder)?;
    let library = library(tree);
    let name = library.file_name().unwrap_or_default();
    copy(&library, &folder.join(name))
}

/// The generated code and the twins of its calls with futures.
fn kotlin(tree: &Tree) -> Result<(), Problem> {
    let fresh = tree.target.join("kotlin");
    generate(tree, "kotlin", &fresh)?;
    let failed = |cause| Problem::while_doing("finishing the generated Kotlin", cause);
    let code = fs::read_to_string(fresh.join("chat/sampan/sampan.kt")).map_err(failed)?;
    let code = crate::kotlin::finished(&code, &defaults(tree)?)?;
    let futures = crate::kotlin::futures(&code)?;
    let folder = generated_kotlin(tree).join("chat/sampan");
    make(&folder.join("futures"))?;
    replace(&code, &folder.join("sampan.kt"))?;
    replace(&futures, &folder.join("futures/Futures.kt"))
}

/// The defaults of input records.
fn defaults(tree: &Tree) -> Result<Defaults, Problem> {
    let files = [
        "src/config.rs",
        "src/model/conversation.rs",
        "src/model/outgoing.rs",
    ];
    let read = |file: &&str| fs::read_to_string(tree.root.join(file));
    let sources: Result<Vec<String>, _> = files.iter().map(read).collect();
    let failed = |cause| Problem::while_doing("reading the defaults", cause);
    Ok(Defaults::read(&sources.map_err(failed)?.concat()))
}

/// A C target wants its header under `include`, a module map of the usual name, and a source.
fn swift(tree: &Tree) -> Result<(), Problem> {
    let package = tree.root.join("bindings/swift/target");
    let fresh = tree.target.join("swift");
    generate(tree, "swift", &fresh)?;
    let headers = package.join("SampanFFI/include");
    make(&headers)?;
    make(&package.join("SampanCore"))?;
    let file = |name: &str| fresh.join(name);
    let core = file("SampanCore.swift");
    let failed = |cause| Problem::while_doing("finishing the generated Swift", cause);
    let code = fs::read_to_string(&core).map_err(failed)?;
    fs::write(&core, crate::swift::finished(&code, &defaults(tree)?)?).map_err(failed)?;
    copy(&core, &package.join("SampanCore/SampanCore.swift"))?;
    let beside = tree.root.join("bindings/swift/Sources/SampanCore");
    let hidden = "HiddenText.swift";
    copy(
        &beside.join(hidden),
        &package.join("SampanCore").join(hidden),
    )?;
    copy(&file("SampanFFI.h"), &headers.join("SampanFFI.h"))?;
    copy(
        &file("SampanFFI.modulemap"),
        &headers.join("module.modulemap"),
    )?;
    fs::write(
        package.join("SampanFFI/empty.c"),
        "// The library has the code.\n",
    )
    .map_err(|cause| Problem::while_doing("writing a source for the C target", cause))
}

fn generate(tree: &Tree, language: &str, folder: &Path) -> Result<(), Problem> {
    make(folder)?;
    let mut command = Command::new(tree.built("uniffi-bindgen"));
    command.args(["generate", "--no-format", "-l", language, "-o"]);
    finished(
        command
            .arg(folder)
            .arg(library(tree))
            .current_dir(&tree.root),
    )
}

/// The library for other languages, as the development profile builds it.
fn library(tree: &Tree) -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let name = format!("{DLL_PREFIX}sampan{DLL_SUFFIX}");
    tree.target.join("debug").join(name)
}

fn finished(command: &mut Command) -> Result<(), Problem> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .map_err(|cause| Problem::while_doing(&format!("starting {program}"), cause))?;
    if status.success() {
        Ok(())
    } else {
        Err(Problem(format!("{program} failed: {status}")))
    }
}

fn make(folder: &Path) -> Result<(), Problem> {
    fs::create_dir_all(folder)
        .map_err(|cause| Problem::while_doing(&format!("making {}", folder.display()), cause))
}

/// Writes a file, and leaves it alone where it is the same.
fn replace(text: &str, to: &Path) -> Result<(), Problem> {
    if fs::read_to_string(to).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let failed = |cause| Problem::while_doing(&format!("writing {}", to.display()), cause);
    fs::write(to, text).map_err(failed)
}

/// Replaces a file, and leaves an equal file alone: a newer file is compiled again.
fn copy(from: &Path, to: &Path) -> Result<(), Problem> {
    let failed = |cause| Problem::while_doing(&format!("copying {}", from.display()), cause);
    let fresh = fs::read(from).map_err(failed)?;
    if fs::read(to).is_ok_and(|old| old == fresh) {
        return Ok(());
    }
    fs::write(to, fresh).map_err(failed)
}

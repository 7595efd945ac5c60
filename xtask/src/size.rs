//! `cargo xtask size`: the size of the library inside an app, and of its parts.
//!
//! The library is built as apps get it (the profile `dist`), as a static library, and linked in two ways:
//!
//! | form | what is made of the static library | who takes it |
//! |---|---|---|
//! | `libsampan.so` | a shared library, without what nobody calls | the JVM and Android |
//! | `sampan.o` | one object, whose other symbols are hidden | iOS and macOS: symbols of zstd or ring cannot clash with an app's own |
//!
//! Both show the calls of the bindings and nothing else. The linked libraries are for this machine; the sizes
//! for a phone's processor are near theirs. Linux with `cc`, `ld`, `nm`, `objcopy`, `strip` and `size` is
//! needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clock::Watch;
use crate::tree::{Tree, cargo};
use crate::{Problem, Verdict};

/// The largest shared library that is good, in bytes.
const BUDGET: u64 = 6_000_000;

/// The number of contributors that are shown.
const SHOWN: usize = 20;

/// The starts of the names of the bindings' calls. The descriptions of the items (`UNIFFI_META_…`) are for the
/// generator, which reads them from a library of the development profile.
const CALLS: [&str; 2] = ["uniffi_", "ffi_"];

const BUILD: [&str; 9] = [
    "rustc",
    "--quiet",
    "--profile",
    "dist",
    "--package",
    "sampan",
    "--lib",
    "--crate-type",
    "staticlib",
];

/// Builds, links, measures and prints.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    if let Some(unknown) = arguments.first() {
        return Err(Problem(format!("size takes no argument: {unknown}")));
    }
    let tree = Tree::find()?;
    let watch = Watch::start();
    let database = crate::phone::small_copy(&tree)?;
    let mut build = Command::new(cargo());
    build
        .args(BUILD)
        .args(["--config", &crate::phone::paths(&database)]);
    build.env("CFLAGS", crate::phone::ZSTD_OPTIONS);
    // The database denies lints of its own; cargo excuses packages of a registry from theirs, and no copy.
    build.env("RUSTFLAGS", "--cap-lints=warn");
    output(build.current_dir(&tree.root))?;
    println!("built in {} s", watch.elapsed().as_secs());
    let folder = tree.target.join("size");
    fs::create_dir_all(&folder)
        .map_err(|cause| Problem::while_doing("making the folder of sizes", cause))?;
    let archive = tree.target.join("dist/libsampan.a");
    let calls = calls(&output(Command::new("nm").arg("-gP").arg(&archive))?);
    if calls.is_empty() {
        return Err(Problem("the library has no calls for bindings".to_owned()));
    }
    let shared = shared(&archive, &folder, &calls)?;
    let object = object(&archive, &folder, &calls)?;
    contributors(&shared)?;
    let stripped = stripped(&shared)?;
    let mut verdict = Verdict::Good;
    for (file, arguments) in [(&stripped, ["-DP"]), (&object, ["-gP"])] {
        let shown = output(Command::new("nm").args(arguments).arg(file))?;
        let foreign = foreign(&shown);
        println!(
            "{}: {} bytes, {} calls, {} other symbols",
            file.file_name().unwrap_or_default().to_string_lossy(),
            bytes(file)?,
            calls.len(),
            foreign.len()
        );
        if !foreign.is_empty() {
            println!("  it shows {}", foreign.join(", "));
            verdict = Verdict::Short;
        }
    }
    let size = bytes(&stripped)?;
    if size > BUDGET {
        println!("libsampan.so is larger than {BUDGET} bytes");
        verdict = Verdict::Short;
    }
    Ok(verdict)
}

/// The shared library with its names, for the list of contributors.
fn shared(archive: &Path, folder: &Path, calls: &[String]) -> Result<PathBuf, Problem> {
    let file = folder.join("libsampan.unstripped.so");
    let script = folder.join("exports.map");
    let names: Vec<String> = calls.iter().map(|name| format!("    {name};\n")).collect();
    let text = format!("{{\n  global:\n{}  local: *;\n}};\n", names.concat());
    write(&script, &text)?;
    let roots = roots(folder, calls)?;
    let mut link = Command::new("cc");
    link.args(["-shared", "-o"]).arg(&file);
    link.arg(format!("@{}", roots.display()));
    link.arg(format!("-Wl,--version-script={}", script.display()));
    link.args(["-Wl,--gc-sections", "-Wl,-O1", "-Wl,-z,relro,-z,now"]);
    // Addresses that the loader mends take a bit each. Android has this form since version 9.
    link.arg("-Wl,-z,pack-relative-relocs");
    // Pages of 16 kB, which new Android devices have.
    link.arg("-Wl,-z,max-page-size=16384");
    link.arg(archive)
        .args(["-lpthread", "-ldl", "-lm", "-lgcc_s", "-lc"]);
    output(&mut link)?;
    Ok(file)
}

/// One object of the whole library, whose other symbols cannot be seen.
fn object(archive: &Path, folder: &Path, calls: &[String]) -> Result<PathBuf, Problem> {
    let file = folder.join("sampan.o");
    let list = folder.join("calls.txt");
    write(&list, &(calls.join("\n") + "\n"))?;
    let roots: Vec<String> = calls.iter().map(|name| format!("-u {name}\n")).collect();
    let words = folder.join("object.options");
    write(&words, &roots.concat())?;
    let mut link = Command::new("ld");
    link.args(["-r", "--gc-sections", "-o"]).arg(&file);
    output(link.arg(format!("@{}", words.display())).arg(archive))?;
    let keep = format!("--keep-global-symbols={}", list.display());
    // The standard library's bitcode lies in it as well, and a linker would take it for code.
    let bitcode = ["--remove-section=.llvmbc", "--remove-section=.llvmcmd"];
    let mut hide = Command::new("objcopy");
    hide.args(bitcode).args(["--strip-unneeded", &keep]);
    output(hide.arg(&file))?;
    Ok(file)
}

/// Tells the linker the calls from outside: it takes these from the archive, and everything that they need.
fn roots(folder: &Path, calls: &[String]) -> Result<PathBuf, Problem> {
    let roots: Vec<String> = calls
        .iter()
        .map(|name| format!("-Wl,-u,{name}\n"))
        .collect();
    let file = folder.join("shared.options");
    write(&file, &roots.concat())?;
    Ok(file)
}

fn stripped(shared: &Path) -> Result<PathBuf, Problem> {
    let file = shared.with_file_name("libsampan.so");
    output(Command::new("strip").arg("-o").arg(&file).arg(shared))?;
    Ok(file)
}

/// Prints the parts of the library: its sections, and its code by crate.
fn contributors(shared: &Path) -> Result<(), Problem> {
    let sections = output(Command::new("size").arg("-A").arg(shared))?;
    println!("\nsections of more than 10 kB:");
    for line in sections.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(size)) = (words.next(), words.next())
            && name.starts_with('.')
            && size.parse().is_ok_and(|size: u64| size > 10_000)
        {
            println!("{size:>10}  {name}");
        }
    }
    let symbols = output(
        Command::new("nm")
            .args(["-C", "-S", "--defined-only"])
            .arg(shared),
    )?;
    let mut crates: Vec<(String, u64)> = by_crate(&symbols).into_iter().collect();
    crates.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    println!("\ncode and constants that have a name, by crate:");
    for (name, size) in crates.iter().take(SHOWN) {
        println!("{size:>10}  {name}");
    }
    println!();
    Ok(())
}

/// The calls of the bindings among the symbols that `nm -gP` lists.
fn calls(symbols: &str) -> Vec<String> {
    let mut calls: Vec<String> = defined(symbols)
        .filter(|name| is_call(name))
        .map(str::to_owned)
        .collect();
    calls.sort();
    calls.dedup();
    calls
}

/// The symbols that a finished library shows beside its calls.
fn foreign(symbols: &str) -> Vec<String> {
    let foreign = defined(symbols).filter(|name| !is_call(name));
    foreign.map(str::to_owned).collect()
}

fn is_call(name: &str) -> bool {
    CALLS.iter().any(|start| name.starts_with(start))
}

/// The names that a file defines: `name type value size`, where an undefined one has the type `U`.
fn defined(symbols: &str) -> impl Iterator<Item = &str> {
    symbols.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let kind = words.next()?;
        let is_defined = kind.len() == 1 && !matches!(kind, "U" | "w" | "v");
        is_defined.then_some(name)
    })
}

/// Sums the sizes of symbols by the crate that they are written in: `address size type name`.
fn by_crate(symbols: &str) -> BTreeMap<String, u64> {
    let mut crates = BTreeMap::new();
    for line in symbols.lines() {
        let mut words = line.splitn(4, ' ');
        let (_, size, kind, name) = (words.next(), words.next(), words.next(), words.next());
        // A symbol without a size has one word less, and is no part of the sum; `b` takes no room in the file.
        let size = size.and_then(|size| u64::from_str_radix(size, 16).ok());
        if let (Some(size), Some(kind), Some(name)) = (size, kind, name)
            && !matches!(kind, "b" | "B")
        {
            *crates.entry(crate_of(name)).or_default() += size;
        }
    }
    crates
}

/// The crate of a symbol: the first word of a path, or the C library that a plain name belongs to.
fn crate_of(name: &str) -> String {
    if is_call(name) {
        return "the calls of the bindings".to_owned();
    }
    let inner = name.trim_start_matches(['<', '&', '*', '(', '[']);
    let inner = ["mut ", "const ", "dyn "]
        .iter()
        .fold(inner, |inner, word| inner.trim_start_matches(word));
    match inner.split_once("::") {
        // The body of a destructor or a closure belongs to the type that it is made for.
        Some(("core", rest)) if rest.starts_with("ptr::drop_in_place<") => rest
            .split_once('<')
            .map_or_else(|| "core".to_owned(), |(_, kind)| crate_of(kind)),
        Some((first, _)) => first.to_owned(),
        None => c_library(inner).to_owned(),
    }
}

fn c_library(name: &str) -> &'static str {
    let zstd = [
        "ZSTD", "HUF", "FSE", "HIST", "ERR_", "COVER", "ZBUFF", "ZDICT",
    ];
    if zstd.iter().any(|start| name.starts_with(start)) {
        "zstd (C)"
    } else if name.starts_with("ring_core") {
        "ring (C and assembly)"
    } else {
        "names without a crate"
    }
}

fn bytes(file: &Path) -> Result<u64, Problem> {
    let failed = |cause| Problem::while_doing(&format!("measuring {}", file.display()), cause);
    Ok(fs::metadata(file).map_err(failed)?.len())
}

fn write(file: &Path, text: &str) -> Result<(), Problem> {
    let failed = |cause| Problem::while_doing(&format!("writing {}", file.display()), cause);
    fs::write(file, text).map_err(failed)
}

/// The output of a program; a failed program is a problem.
fn output(command: &mut Command) -> Result<String, Problem> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|cause| Problem::while_doing(&format!("starting {program}"), cause))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Problem::while_doing(&program, complaint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: &str = "uniffi_sampan_fn_a T 10 20\nffi_sampan_b T 10 20\nUNIFFI_META_C D 10 20\n\
                           ZSTD_compress T 10 20\nmalloc U\n\nlibsampan.a[sampan.o]:\n";

    #[test]
    fn the_calls_of_the_bindings_are_kept_and_all_else_is_foreign() {
        assert_eq!(calls(SYMBOLS), ["ffi_sampan_b", "uniffi_sampan_fn_a"]);
        assert_eq!(foreign(SYMBOLS), ["UNIFFI_META_C", "ZSTD_compress"]);
    }

    #[test]
    fn sizes_are_summed_by_the_crate_that_a_symbol_is_written_in() {
        let symbols = "0010 0000000000000010 t sampan::store::open\n\
                       0020 0000000000000020 t <&mut sled::Tree as core::fmt::Debug>::fmt\n\
                       0030 0000000000000003 t core::ptr::drop_in_place<sampan::sync::Machine>\n\
                       0040 0000000000000004 T ZSTD_compress\n\
                       0050 0000000000000005 b sampan::a_place\n0060 t no_size\n";
        let sums = by_crate(symbols);
        let expected = [("sampan", 19), ("sled", 32), ("zstd (C)", 4)];
        let expected = expected.map(|(name, size)| (name.to_owned(), size));
        assert_eq!(sums, BTreeMap::from(expected));
    }
}

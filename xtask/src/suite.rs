//! The table of suites: what each needs, runs and counts.
//!
//! Adding a suite is adding one entry to [`SUITES`]. A suite belongs to a folder or file of the repository; a
//! suite without its folder or file does not run.
//!
//! All Rust steps share one target folder, one profile and one choice of packages, so that nothing is compiled
//! twice: cargo unifies features over the packages and targets that it is asked for, and another choice would
//! be another build of the same dependencies. The choice is all packages with all features, so that the
//! generator of the bindings is checked as well.

use crate::count::{self, Reader};
use crate::ran::{self, Report};
use crate::sim;
use crate::step::Step;
use crate::tree::{Tree, cargo};
use std::path::{Path, PathBuf};

/// A program that a suite cannot run without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    /// Its name on PATH.
    pub(crate) name: &'static str,
    /// A variable that may name its folder instead.
    folder_variable: Option<&'static str>,
}

/// The meaning of a missing tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// Skipped on a person's machine; under `CI=true` a failure, or CI would rot unseen.
    FailsInCi,
    /// Skipped everywhere, for the reason given.
    Excused(&'static str),
}

/// One suite: a name to ask for, programs to run, and a way to count what they found.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The folder or file of the repository it belongs to.
    home: &'static str,
    pub(crate) needs: &'static [Tool],
    pub(crate) absence: Absence,
    /// The time after which the whole suite is stopped, in minutes.
    pub(crate) minutes: u64,
    /// Run in order; the first that fails ends the suite.
    pub(crate) steps: fn(&Tree) -> Vec<Step>,
    pub(crate) count: Reader,
    /// The tests that ran, one by one, if its runner can tell.
    pub(crate) report: Option<Report>,
}

const NODE: Tool = Tool::on_path("node");
const NPM: Tool = Tool::on_path("npm");
const JAVA: Tool = Tool::on_path("java");
const MAVEN: Tool = Tool::on_path("mvn");
const PYTHON: Tool = Tool::on_path("python3");
const SWIFT: Tool = Tool {
    name: "swift",
    folder_variable: Some("SAMPAN_SWIFT"),
};
const CARGO_DENY: Tool = Tool::on_path("cargo-deny");

/// The defaults of a suite: one check on the whole workspace, with nothing but cargo.
const CHECK: Suite = Suite {
    name: "",
    about: "",
    home: "Cargo.toml",
    needs: &[],
    absence: Absence::FailsInCi,
    minutes: 25,
    steps: |_| Vec::new(),
    count: count::check,
    report: None,
};

/// Every suite, in the order they run: the quick complaints first.
pub(crate) const SUITES: &[Suite] = &[
    Suite {
        name: "fmt",
        about: "rustfmt has nothing to change",
        steps: |tree| vec![cargo_step(tree, &["fmt", "--all", "--check"])],
        ..CHECK
    },
    Suite {
        name: "policy",
        about: "dependencies keep to deny.toml: licences, bans, sources",
        home: "deny.toml",
        steps: |tree| vec![Step::new(&tree.root, this_program(tree), &["policy"])],
        ..CHECK
    },
    Suite {
        name: "deny",
        about: "cargo-deny agrees with the policy check",
        home: "deny.toml",
        needs: &[CARGO_DENY],
        absence: Absence::Excused("a second opinion: the suite `policy` reads the same deny.toml"),
        steps: |tree| {
            vec![cargo_step(
                tree,
                &["deny", "check", "licenses", "bans", "sources"],
            )]
        },
        ..CHECK
    },
    Suite {
        name: "clippy",
        about: "no warning in any target of the workspace",
        steps: |tree| {
            vec![cargo_step(
                tree,
                &[
                    "clippy",
                    "--workspace",
                    "--all-features",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ],
            )]
        },
        ..CHECK
    },
    Suite {
        name: "docs",
        about: "the documentation builds without a warning",
        steps: |tree| {
            let step = cargo_step(tree, &["doc", "--workspace", "--all-features", "--no-deps"]);
            vec![step.with_variable("RUSTDOCFLAGS", "-D warnings")]
        },
        ..CHECK
    },
    Suite {
        name: "rust",
        about: "every Rust test: unit, integration, tidy, conformance, doctests",
        steps: |tree| {
            let test = [
                "test",
                "--workspace",
                "--all-features",
                "--no-fail-fast",
                // Says which source each test program was built from.
                "--message-format=json-render-diagnostics",
                "--",
                // Shows the words of a test that passed without having run.
                "--show-output",
            ];
            let mut steps = vec![build(tree)];
            // Some of them talk to the JavaScript SDK; without npm they say that they can't.
            let scripts = tree.has("tests/interop/js/package.json");
            let installed = scripts.filter(|_| NPM.find().is_some());
            steps.extend(installed.map(|_| npm_install(&tree.root.join("tests/interop/js"))));
            steps.push(cargo_step(tree, &test));
            steps
        },
        count: count::libtest,
        report: Some(Report {
            ending: ".rs",
            folder: "",
            leaves: None,
            read: ran::libtest,
        }),
        ..CHECK
    },
    Suite {
        name: "interop-js",
        about: "the official JavaScript SDKs as clients of sampan-service",
        home: "tests/interop/js/package.json",
        needs: &[NODE, NPM],
        steps: |tree| {
            let folder = tree.root.join("tests/interop/js");
            let destination = ran::node_report(tree);
            let destination = destination.to_string_lossy();
            let report = format!("--test-reporter-destination={destination}");
            let options = [
                "--test",
                "--test-reporter=tap",
                "--test-reporter-destination=stdout",
                "--test-reporter=./lib/report.mjs",
                &report,
            ];
            let test = Step::new(&folder, "node", &options);
            vec![build(tree), npm_install(&folder), with_service(tree, test)]
        },
        count: count::node_tap,
        report: Some(Report {
            ending: ".mjs",
            folder: "tests/interop/js/",
            leaves: Some(ran::node_report),
            read: ran::node,
        }),
        ..CHECK
    },
    Suite {
        name: "interop-java",
        about: "the official Java SDK as a client of sampan-service",
        home: "tests/interop/java/pom.xml",
        needs: &[JAVA, MAVEN, NODE],
        steps: |tree| {
            let folder = tree.root.join("tests/interop/java");
            let options = ["-B", "-ntp", "-Dstyle.color=never", "test"];
            let mut steps = vec![build(tree)];
            // One of its tests talks to the JavaScript SDK.
            steps.extend(
                tree.has("tests/interop/js/package.json")
                    .map(|_| npm_install(&tree.root.join("tests/interop/js"))),
            );
            steps.push(with_service(tree, Step::new(&folder, "mvn", &options)));
            steps
        },
        count: count::surefire,
        report: Some(Report {
            ending: ".java",
            folder: "tests/interop/java/",
            leaves: Some(ran::java_reports),
            read: ran::java,
        }),
        ..CHECK
    },
    Suite {
        name: "python",
        about: "the smoke test: the library driven from Python",
        home: "bindings/smoke/test_chat.py",
        needs: &[PYTHON],
        steps: |tree| {
            let folder = tree.root.join("bindings/smoke");
            let module = crate::bindings::generated_python(tree);
            let test = Step::new(&folder, "python3", &["-m", "unittest", "-v"])
                .with_variable("SAMPAN_PYTHON", module.to_string_lossy())
                .with_variable("PYTHONDONTWRITEBYTECODE", "1");
            vec![bindings(tree, "python"), with_service(tree, test)]
        },
        count: count::python,
        report: Some(Report {
            ending: ".py",
            folder: "bindings/smoke/",
            leaves: None,
            read: ran::python,
        }),
        ..CHECK
    },
    Suite {
        name: "surface",
        about: "Swift and Kotlin offer what bindings/surface says",
        home: "bindings/surface/swift.txt",
        steps: |tree| vec![Step::new(&tree.root, this_program(tree), &["surface"])],
        ..CHECK
    },
    Suite {
        name: "kotlin",
        about: "the library and its layer in Kotlin, on the JVM",
        home: "bindings/kotlin/pom.xml",
        needs: &[JAVA, MAVEN],
        steps: |tree| {
            let folder = tree.root.join("bindings/kotlin");
            let native = format!("-Dnative={}", libraries(tree));
            let options = ["-B", "-ntp", "-Dstyle.color=never", &native, "test"];
            let test = Step::new(&folder, "mvn", &options);
            vec![bindings(tree, "kotlin"), with_service(tree, test)]
        },
        count: count::surefire,
        report: Some(Report {
            ending: ".kt",
            folder: "bindings/kotlin/",
            leaves: Some(ran::kotlin_reports),
            read: ran::kotlin,
        }),
        ..CHECK
    },
    Suite {
        name: "swift",
        about: "the library and its layer in Swift",
        home: "bindings/swift/Package.swift",
        needs: &[SWIFT],
        steps: |tree| {
            let folder = tree.root.join("bindings/swift");
            let swift = SWIFT.find().unwrap_or_else(|| PathBuf::from(SWIFT.name));
            let libraries = libraries(tree);
            let search = format!("-L{libraries}");
            let program = swift.to_string_lossy();
            // The package as an app has it, without stubs of packages that this system has not.
            let plain = [
                "build",
                "--target",
                "Sampan",
                "--scratch-path",
                ".build/plain",
            ];
            let options = ["test", "-Xlinker", &search];
            let test = Step::new(&folder, program.clone(), &options)
                .with_variable("LD_LIBRARY_PATH", &libraries)
                .with_variable("DYLD_LIBRARY_PATH", &libraries);
            let test = if cfg!(target_vendor = "apple") {
                test
            } else {
                test.with_variable("SAMPAN_STUBS", "1")
            };
            vec![
                bindings(tree, "swift"),
                Step::new(&folder, program, &plain),
                with_service(tree, test),
            ]
        },
        count: count::xctest,
        report: Some(Report {
            ending: ".swift",
            folder: "bindings/swift/",
            leaves: None,
            read: ran::swift,
        }),
        ..CHECK
    },
    Suite {
        name: "sim",
        about: "the promises hold under every fault, and planted faults are noticed (docs/proof.md)",
        home: "sim/Cargo.toml",
        steps: |tree| {
            let with = |options: &[&str]| cargo_step(tree, &[&sim::CARGO[..], options].concat());
            vec![with(&["--planted"]), with(&["--seeds", sim::SUITE_SEEDS])]
        },
        ..CHECK
    },
    Suite {
        name: "store-phone",
        about: "the store's tests over its database as phones get it: no threads, its own sync",
        home: "src/store/tree/sled.rs",
        steps: |tree| vec![Step::new(&tree.root, this_program(tree), &["store-phone"])],
        count: count::libtest,
        ..CHECK
    },
    Suite {
        name: "quickstart",
        about: "the README's first command runs to its end",
        home: "examples/quickstart.rs",
        steps: |tree| {
            let program = tree.built("examples/quickstart");
            vec![
                build(tree),
                Step::new(&tree.root, program.to_string_lossy(), &[]),
            ]
        },
        ..CHECK
    },
    Suite {
        name: "conformance",
        about: "the checks of every done row passed in this run (docs/conformance.md)",
        home: "docs/conformance.md",
        steps: |tree| vec![Step::new(&tree.root, this_program(tree), &["conformance"])],
        count: count::own,
        ..CHECK
    },
];

/// The names of all suites, for help and for complaints.
pub(crate) fn names() -> Vec<&'static str> {
    SUITES.iter().map(|suite| suite.name).collect()
}

impl Suite {
    /// True if the repository has the folder or file that this suite tests.
    pub(crate) fn is_home(&self, tree: &Tree) -> bool {
        tree.has(self.home).is_some()
    }

    /// The tools that the suite needs and this machine has not.
    pub(crate) fn missing_tools(&self) -> Vec<&'static str> {
        let missing = self.needs.iter().filter(|tool| tool.find().is_none());
        missing.map(|tool| tool.name).collect()
    }
}

impl Tool {
    const fn on_path(name: &'static str) -> Self {
        Self {
            name,
            folder_variable: None,
        }
    }

    /// The tool's path: in the folder that its variable names, or on PATH.
    pub(crate) fn find(&self) -> Option<PathBuf> {
        let named = self
            .folder_variable
            .and_then(std::env::var_os)
            .map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = named.into_iter().chain(std::env::split_paths(&path));
        let file = format!("{}{}", self.name, std::env::consts::EXE_SUFFIX);
        folders
            .map(|folder| folder.join(&file))
            .find(|program| program.is_file())
    }
}

impl Tree {
    /// A file or folder of the repository, if it is there.
    fn has(&self, home: &str) -> Option<PathBuf> {
        Some(self.root.join(home)).filter(|path| path.exists())
    }
}

fn cargo_step(tree: &Tree, arguments: &[&str]) -> Step {
    Step::new(&tree.root, cargo(), arguments)
}

/// Builds everything that the Rust tests, the interop suites and the examples run. The tests are among the
/// targets so that the build selects the same features as `cargo test` does.
fn build(tree: &Tree) -> Step {
    cargo_step(tree, BUILD)
}

/// The arguments of [`build`] for cargo; other arguments build a second time.
pub(crate) const BUILD: &[&str] = &[
    "build",
    "--workspace",
    "--all-features",
    "--lib",
    "--bins",
    "--tests",
    "--examples",
];

/// The library, the generator and the service alone: a test is among the targets so that the same features
/// are selected, and nothing is built twice.
pub(crate) const BUILD_LIBRARY: &[&str] = &[
    "build",
    "--workspace",
    "--all-features",
    "--lib",
    "--bins",
    "--test",
    "tidy",
];

/// Generates the code of one language; it builds the library first.
fn bindings(tree: &Tree, language: &str) -> Step {
    Step::new(&tree.root, this_program(tree), &["bindings", language])
}

/// Installs the packages of the lock file.
fn npm_install(folder: &Path) -> Step {
    Step::new(
        folder,
        "npm",
        &["ci", "--no-audit", "--no-fund", "--prefer-offline"],
    )
}

/// Tells a foreign test where the service's program is.
fn with_service(tree: &Tree, step: Step) -> Step {
    step.with_variable(
        "SAMPAN_SERVICE_BIN",
        tree.built("sampan-service").to_string_lossy(),
    )
}

/// The folder of the built library.
fn libraries(tree: &Tree) -> String {
    tree.target.join("debug").to_string_lossy().into_owned()
}

/// This program, for the suites that are commands of it. The path is the place where it is built, because a
/// build of the workspace may have replaced the file that runs now.
fn this_program(tree: &Tree) -> String {
    tree.built("xtask").to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_suite_has_a_name_and_a_purpose_of_its_own() {
        let names: BTreeSet<&str> = names().into_iter().collect();
        assert_eq!(names.len(), SUITES.len());
        assert!(
            SUITES
                .iter()
                .all(|suite| !suite.name.is_empty() && !suite.about.is_empty())
        );
    }

    #[test]
    fn every_suite_has_something_to_run() {
        let tree = Tree {
            root: PathBuf::from("root"),
            target: PathBuf::from("target"),
        };
        assert!(SUITES.iter().all(|suite| !(suite.steps)(&tree).is_empty()));
    }

    #[test]
    fn a_tool_that_is_nowhere_is_reported_missing() {
        assert!(Tool::on_path("sampan-no-such-program").find().is_none());
        assert!(Tool::on_path("cargo").find().is_some());
    }
}

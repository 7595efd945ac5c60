//! A deterministic simulator: many devices of Sampan, a service, every fault, one seed.
//!
//! ```text
//!   plan ──▶ world: one queue, one clock, one thread
//!              │
//!              ├─ devices   the engine's own loop, link and client machines, over stores on faulty disks
//!              ├─ network   sockets that lag, break, go deaf; answers lost, late, twice
//!              ├─ server    the service's real rules over its storage in memory
//!              ├─ others    users at other programs, who edit, recall, add and remove
//!              └─ checks    at rest: nothing lost, nothing twice, in order, no silent hole, …
//! ```
//!
//! A seed makes a [`Plan`]: the actions of apps and the faults, written down before the run. The same plan
//! gives the same [`Trace`], to the byte. A failing plan can be [shrunk](shrink) to a size that a person can
//! read. A plan can also be written by hand as a test. [`Mutation`]s are planted faults, which prove that the
//! checks notice.
//!
//! `docs/proof.md` lists the modelled parts and the parts that are not modelled.
//!
//! ```
//! use sampan_sim::{Plan, Telling, run};
//!
//! let outcome = run(&Plan::of_seed(7), Telling::Silent);
//! assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
//! ```

/// The page for app teams: its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod checks;
mod devices;
mod dice;
mod faults;
mod hunt;
mod network;
mod plan;
mod service;
mod shape;
mod shrink;
mod trace;
mod world;

pub use checks::Violation;
pub use devices::actions::Action;
pub use dice::Dice;
pub use faults::kinds::{CommitPart, Fault, Moment, RouterTrouble, StorageTrouble};
pub use faults::planted::Mutation;
pub use plan::Plan;
pub use shape::{At, Limiter, Offline, Pace, Shape, Sharing, Signer, Tags};
pub use shrink::{Shrunk, shrink};
pub use trace::{Telling, Trace};
pub use world::{Counts, Outcome};

/// Carries a plan out, to the end and through all checks.
#[must_use]
pub fn run(plan: &Plan, telling: Telling) -> Outcome {
    world::run(plan, telling)
}

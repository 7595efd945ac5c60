//! Making a failing plan small: fewer kinds of fault, fewer faults, fewer actions.

use std::collections::BTreeSet;

use crate::plan::{At, Plan};
use crate::trace::Telling;
use crate::world::{Outcome, run};

/// The most runs that shrinking may take.
const RUNS_MAX: u32 = 400;

/// A plan that still fails, and how.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// What its run found, with lines to read.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: u32,
}

/// Takes away from a failing plan whatever it fails without. The result breaks the promise named,
/// or the one that the plan broke first. None when the plan does not break it.
#[must_use]
pub fn shrink(plan: &Plan, check: Option<&str>) -> Option<Shrunk> {
    let violations = run(plan, Telling::Silent).violations;
    let broken = match check {
        Some(check) => violations.iter().find(|it| it.check == check)?.check,
        None => violations.first()?.check,
    };
    let mut search = Search {
        plan: plan.clone(),
        broken,
        runs: 0,
    };
    let kinds: BTreeSet<_> = plan.faults.iter().map(|it| it.what.kind()).collect();
    for kind in kinds {
        search.attempt(|plan| plan.faults.retain(|it| it.what.kind() != kind));
    }
    search.thin(|plan| &mut plan.faults);
    search.thin(|plan| &mut plan.actions);
    search.thin(|plan| &mut plan.faults);
    search.attempt(|plan| plan.shape.imported = 0);
    let outcome = run(&search.plan, Telling::Lines);
    Some(Shrunk {
        plan: search.plan,
        outcome,
        runs: search.runs,
    })
}

struct Search {
    plan: Plan,
    broken: &'static str,
    runs: u32,
}

impl Search {
    /// Keeps a change if the plan still breaks the same promise.
    fn attempt(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        let mut plan = self.plan.clone();
        change(&mut plan);
        if plan == self.plan {
            return false;
        }
        self.runs += 1;
        let violations = run(&plan, Telling::Silent).violations;
        let same = violations.iter().any(|it| it.check == self.broken);
        if same {
            self.plan = plan;
        }
        same
    }

    /// Takes away halves, then quarters, down to single ones.
    fn thin<T: Clone>(&mut self, part: fn(&mut Plan) -> &mut Vec<At<T>>) {
        let mut chunk = part(&mut self.plan).len().div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < part(&mut self.plan).len() {
                let gone = self.attempt(|plan| {
                    let items = part(plan);
                    let to = from.saturating_add(chunk).min(items.len());
                    drop(items.drain(from..to));
                });
                if !gone {
                    from += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
    }
}

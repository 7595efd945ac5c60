//! Makes a failing plan small: fewer kinds of fault, fewer faults, fewer actions, fewer devices, and none of
//! the circumstances without influence.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::devices::actions::Action;
use crate::plan::Plan;
use crate::shape::{At, Limiter, Offline, Pace, Sharing, Signer, Tags};
use crate::trace::Telling;
use crate::world::{Outcome, run};

/// The most runs that shrinking may take.
const RUNS_MAX: u32 = 400;

/// A plan that still fails, and its failure.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// The outcome of the plan's run, with lines to read.
    pub outcome: Outcome,
    /// The number of runs that shrinking took.
    pub runs: u32,
}

/// Takes away from a failing plan every part without which it still fails. The result breaks the promise named,
/// or the one that the plan broke first. None if the plan does not break that promise.
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
    search.simplify();
    search.thin(|plan| &mut plan.actions);
    search.tidy();
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

    /// Takes away circumstances, and devices that nobody uses.
    fn simplify(&mut self) {
        self.attempt(|plan| plan.shape.imported = 0);
        self.attempt(|plan| plan.shape.imported = plan.shape.imported.min(3));
        self.attempt(|plan| plan.shape.sharing = Sharing::None);
        self.attempt(|plan| plan.shape.tags = Tags::None);
        self.attempt(|plan| plan.shape.signer = Signer::None);
        self.attempt(|plan| plan.shape.offline = Offline::Unread);
        self.attempt(|plan| plan.shape.limiter = Limiter::None);
        self.attempt(|plan| plan.shape.pace = Pace::Unthrottled);
        self.attempt(|plan| plan.shape.token_ttl = Duration::from_secs(172_800));
        self.attempt(|plan| plan.shape.unread_cap = 100);
        self.attempt(|plan| plan.shape.catch_up_max = 100);
        while self.attempt(Plan::without_last_device) {}
        self.attempt(|plan| {
            for action in &mut plan.actions {
                if let Action::Send { many, .. } | Action::Leave { many, .. } = &mut action.what {
                    *many = 1;
                }
            }
        });
    }

    /// Lets things happen at whole seconds, and the chaos end with the last of them.
    fn tidy(&mut self) {
        self.attempt(|plan| {
            let whole = |at: &mut Duration| *at = Duration::from_secs(at.as_secs() + 1);
            plan.actions.iter_mut().for_each(|it| whole(&mut it.at));
            plan.faults.iter_mut().for_each(|it| whole(&mut it.at));
            plan.shape.chaos += Duration::from_secs(1);
        });
        self.attempt(|plan| {
            let times = plan.actions.iter().map(|it| it.at);
            let times = times.chain(plan.faults.iter().map(|it| it.at));
            plan.shape.chaos = times.max().unwrap_or_default() + Duration::from_secs(1);
        });
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

//! The hunt for planted faults: seed by seed, until the check that must notice a fault does.

use crate::faults::planted::Mutation;
use crate::plan::Plan;
use crate::trace::Telling;
use crate::world::run;

impl Mutation {
    /// The first seed below [`Mutation::limit`] whose plan breaks [`Mutation::check`] with the planted
    /// fault, and keeps every promise without it. None is a check that notices nothing.
    #[must_use]
    pub fn hunt(self) -> Option<u64> {
        (0..self.limit()).find(|&seed| {
            let plan = Plan::of_seed(seed);
            let planted = run(&plan.clone().with(self), Telling::Silent).violations;
            // A seed that fails without the planted fault proves nothing about it.
            planted.iter().any(|it| it.check == self.check())
                && run(&plan, Telling::Silent).violations.is_empty()
        })
    }
}

//! A plan: all actions and faults of a run, written down before it begins.
//!
//! A seed makes a plan; a test may write one by hand; shrinking removes parts of one. Each purpose has its own
//! stream of chance, so removing a part of a plan changes no draw of the world that carries the plan out.

use std::time::Duration;

use crate::devices::actions::{Action, actions};
use crate::faults::kinds::{Fault, faults};
use crate::faults::planted::Mutation;
use crate::shape::{At, Limiter, Offline, Pace, Shape, Sharing, Signer, Tags};

/// Everything that a run will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed of every stream of chance.
    pub seed: u64,
    /// The size and the set-up of the world.
    pub shape: Shape,
    /// The actions of the apps, by time.
    pub actions: Vec<At<Action>>,
    /// The faults, by time.
    pub faults: Vec<At<Fault>>,
    /// The planted fault, if the run is to be caught out.
    pub mutation: Option<Mutation>,
}

impl Plan {
    /// The plan of a seed: a medium workload, and every kind of fault at its own rate.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let shape = Shape::of_seed(seed);
        Self {
            seed,
            actions: actions(seed, &shape),
            faults: faults(seed, &shape),
            shape,
            mutation: None,
        }
    }

    /// A plan without actions and faults, to be written by hand.
    #[must_use]
    pub fn calm(seed: u64, users: usize, devices: usize) -> Self {
        let shape = Shape {
            users,
            devices,
            chaos: Duration::ZERO,
            ..Shape::of_seed(seed)
        };
        let shape = Shape {
            imported: 0,
            sharing: Sharing::None,
            offline: Offline::Unread,
            tags: Tags::None,
            token_ttl: Duration::from_secs(86_400),
            unread_cap: 100,
            catch_up_max: 100,
            pace: Pace::Unthrottled,
            limiter: Limiter::None,
            signer: Signer::None,
            ..shape
        };
        Self {
            seed,
            shape,
            actions: Vec::new(),
            faults: Vec::new(),
            mutation: None,
        }
    }

    /// Adds an action. The chaos lasts at least until it.
    #[must_use]
    pub fn act(mut self, at: Duration, what: Action) -> Self {
        self.shape.chaos = self.shape.chaos.max(at + Duration::from_millis(1));
        self.actions.push(At { at, what });
        self
    }

    /// Adds a fault. The chaos lasts at least until it strikes.
    #[must_use]
    pub fn strike(mut self, at: Duration, what: Fault) -> Self {
        self.shape.chaos = self.shape.chaos.max(at + Duration::from_millis(1));
        self.faults.push(At { at, what });
        self
    }

    /// Lets the chaos last until a time.
    #[must_use]
    pub fn until(mut self, at: Duration) -> Self {
        self.shape.chaos = at;
        self
    }

    /// Takes the last device away, and all that happens on it.
    pub(crate) fn without_last_device(&mut self) {
        let last = self.shape.devices.saturating_sub(1);
        if last < self.shape.users {
            return;
        }
        self.shape.devices = last;
        self.actions.retain(|it| it.what.device() != Some(last));
        self.faults.retain(|it| it.what.device() != Some(last));
    }

    /// Plants a fault.
    #[must_use]
    pub const fn with(mut self, mutation: Mutation) -> Self {
        self.mutation = Some(mutation);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_plan_and_another_seed_another() {
        assert_eq!(Plan::of_seed(3), Plan::of_seed(3));
        assert_ne!(Plan::of_seed(3), Plan::of_seed(4));
    }

    #[test]
    fn everything_in_a_plan_lies_within_its_chaos_and_in_order() {
        for seed in 0..50 {
            let plan = Plan::of_seed(seed);
            assert!(plan.actions.is_sorted_by_key(|act| act.at));
            assert!(plan.faults.is_sorted_by_key(|fault| fault.at));
            assert!(plan.actions.iter().all(|act| act.at < plan.shape.chaos));
            assert!(plan.faults.iter().all(|fault| fault.at < plan.shape.chaos));
        }
    }
}

//! The questions to an app's hooks that belong to the present command.

use crate::core::exchange::hook_call::{HookAnswer, HookCall};
use crate::core::exchange::push::PushOrder;

/// The hooks of the command at hand: their answers, and the calls that are due at its end.
#[derive(Debug, Default)]
pub(in crate::core) struct HookTurn {
    /// The answers so far, in the order of the questions.
    pub(in crate::core) answers: Vec<HookAnswer>,
    /// The number of used answers.
    pub(in crate::core) used: usize,
    /// The calls to tell once the command is done.
    pub(in crate::core) tell: Vec<HookCall>,
    /// The messages to push then.
    pub(in crate::core) push: Vec<PushOrder>,
}

impl HookTurn {
    /// The turn of a command that was given up at a question before.
    pub(in crate::core) fn with(answers: Vec<HookAnswer>) -> Self {
        Self {
            answers,
            ..Self::default()
        }
    }

    /// True if the command at hand is decided anew.
    pub(in crate::core) fn is_anew(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The answers, for the next decision of the command.
    pub(in crate::core) fn take_answers(&mut self) -> Vec<HookAnswer> {
        self.used = 0;
        std::mem::take(&mut self.answers)
    }

    /// Takes the calls to tell.
    pub(in crate::core) fn take_told(&mut self) -> Vec<HookCall> {
        std::mem::take(&mut self.tell)
    }
}

//! The `conv` commands, and the rule of each.

use sampan::model::Now;
use sampan::wire::Op;
use sampan::wire::generated::ConvCommand;

use super::inquiry::PushWish;
use crate::core::access::Operation;
use crate::core::apps::app::App;
use crate::core::exchange::decision::{Caller, Decision};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::{Core, unsupported_op};
use crate::storage::Storage;
use sampan::wire::ServiceCode;

impl<S: Storage> Core<S> {
    /// Any `conv` command.
    pub(in crate::core) async fn conversation(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
        op: Op,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        match operation {
            Operation::Start => self.start(now, caller, body).await,
            Operation::Update => self.update(now, caller, body).await,
            Operation::Join | Operation::Invite => {
                self.add_members(now, caller, operation, body).await
            }
            Operation::Quit | Operation::Remove => {
                self.remove_members(now, caller, operation, body).await
            }
            Operation::Mute => {
                let push = match op {
                    Op::Mute => PushWish::Muted,
                    _ => PushWish::Wanted,
                };
                self.mute(now, caller, body, push).await
            }
            Operation::Count => self.count(now, caller, body).await,
            Operation::ListMembers => self.list_members(now, caller, body).await,
            Operation::AskMembership => self.is_member(caller, body).await,
            Operation::AskMarks => self.max_read(now, caller, body).await,
            Operation::UpdateRole => self.update_role(now, caller, body).await,
            Operation::Silence
            | Operation::Unsilence
            | Operation::ListSilenced
            | Operation::AskOwnBan => self.silence(now, caller, operation, op, body).await,
            _ => Err(unsupported_op("conv", op).into()),
        }
    }

    /// The app of a caller: it was served when the session opened.
    pub(in crate::core) fn app_of(&self, caller: &Caller) -> Result<App, Refusal> {
        let app = self.apps.find(caller.app.as_str()).cloned();
        app.ok_or_else(|| ServiceCode::APP_NOT_AVAILABLE.into())
    }
}

//! The promises about messages that were not sent: kept as failed, removed, or failed for a reason.

use sampan::model::{OutboxState, SendFailure};
use sampan::wire::{Retry, ServiceCode};

use crate::checks::ledger::Fate;
use crate::devices::device::Device;
use crate::service::Truth;
use crate::shape::Signer;
use crate::world::verdict::with_token;
use crate::world::{World, limits};

/// A message that the app kept as failed is not sent before the app retries it.
pub(super) fn kept_back(world: &mut World, truth: &Truth) {
    let messages = world.record.ledger.messages.iter();
    let kept = messages.filter(|it| it.kept && !it.retried && it.fate != Fate::Overwritten);
    let sent = kept.filter(|it| !with_token(truth, it).is_empty());
    let sent: Vec<_> = sent
        .map(|it| format!("{} of device {} was sent", it.words, it.device))
        .collect();
    for what in sent {
        world.violate("kept", what);
    }
}

/// An unsent message that the app took out does not come back.
pub(super) fn removed_is_out(world: &mut World, index: usize) {
    let Some(store) = world.devices.get(index).and_then(Device::store) else {
        return;
    };
    let unsent = store.snapshot().outbox();
    let removed = world.record.ledger.removed.iter();
    let removed = removed.filter(|(device, _)| *device == index);
    let back = removed.filter(|(_, id)| unsent.iter().any(|it| it.local_id() == Some(id)));
    let back: Vec<_> = back
        .map(|(_, id)| format!("device {index}: {id} is in the outbox"))
        .collect();
    for what in back {
        world.violate("removed", what);
    }
}

/// An entry fails with a number that the service gave, and with one that will pass only after the allowed tries.
pub(super) fn failed_with_reason(world: &mut World, index: usize) {
    let shape = &world.plan.shape;
    let tries_max = limits(shape, None).send_tries_max;
    // A signer that fails ever again is told as a failure of the service.
    let by_signer = (shape.signer == Signer::Slow).then_some(ServiceCode::INTERNAL_ERROR);
    let given = world.network.refused.get(&world.engine_of(index));
    let Some(store) = world.devices.get(index).and_then(Device::store) else {
        return;
    };
    let mut wrong = Vec::new();
    for entry in store.snapshot().outbox() {
        let OutboxState::Failed {
            failure: SendFailure::Refused { code, .. },
        } = entry.state
        else {
            continue;
        };
        let number = ServiceCode::new(code);
        if Some(number) == by_signer {
            continue;
        }
        let (id, tries) = (entry.id, entry.tries);
        if given.is_none_or(|given| !given.contains(&code)) {
            wrong.push(format!(
                "device {index}: {id:?} failed with {code}, which nobody said"
            ));
        }
        let passes = number.entry().is_some_and(|it| it.retry == Retry::Later);
        if passes && number != ServiceCode::UNBIND_INSTALLATION_FAILED && tries < tries_max {
            wrong.push(format!(
                "device {index}: {id:?} failed with {code} after {tries} tries"
            ));
        }
    }
    for what in wrong {
        world.violate("verdict", what);
    }
}

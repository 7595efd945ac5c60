//! Commands on their way out.

use sampan::wire::{Command, Envelope};

use super::input::{ConnectionId, Effect, Gap};

/// The effect that sends a command.
pub(in crate::core) fn sent(connection: ConnectionId, envelope: Envelope) -> Effect {
    Effect::Send {
        connection,
        envelope: Box::new(envelope),
        gap: Gap::None,
    }
}

/// Addresses the reply to a device as its request was: live-query clients tell their commands from
/// those of messaging by it.
pub(in crate::core) fn address_device(request: &Envelope, reply: &mut Envelope) {
    if let Command::Loggedin(_) | Command::Loggedout = reply.command {
        reply.service = request.service;
        reply.installation_id.clone_from(&request.installation_id);
    }
}

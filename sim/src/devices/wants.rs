//! The effects that engines want carried out in the world.

use std::cell::RefCell;
use std::rc::Rc;

use sampan::SampanError;
use sampan::model::{CommitSeq, Event, LocalId, SessionState};
use sampan::runtime::Touched;
use sampan::sync::link::{ClientSlot, ConnectionNumber, LookUpNumber};
use sampan::sync::{EffectId, MediaEffect, Reply};
use sampan::wire::Frame;

use crate::checks::ledger::Call;
use crate::faults::kinds::Moment;

/// The end of a socket's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Service,
    Nowhere,
}

/// An effect that an engine wants in the world, in order.
#[derive(Debug)]
pub(crate) enum Out {
    LookUp(LookUpNumber),
    Connect(ConnectionNumber, Destination),
    Disconnect(ConnectionNumber),
    Send(ConnectionNumber, Frame<'static>),
    Sign(ClientSlot, EffectId),
    Media(usize, ClientSlot, Box<MediaEffect>),
    Answer {
        device: usize,
        call: Call,
        answer: Box<Result<Reply, SampanError>>,
    },
    /// Nobody will answer the call.
    Unheard {
        device: usize,
        call: Call,
    },
    Committed {
        device: usize,
        changes: usize,
    },
    /// Views are told which conversations a commit touched.
    Touched(usize, CommitSeq, Touched),
    /// The left messages are in the outbox: their files go.
    Taken(usize, Vec<LocalId>),
    Session(usize, SessionState),
    Told(usize, Vec<Event>),
    /// The power failed in the middle of a write.
    Died,
    /// The engine went on without end.
    Spinning,
}

impl Out {
    /// True if the moment comes right after this effect.
    pub(super) fn is(&self, moment: Moment) -> bool {
        match self {
            Self::Answer { answer, .. } => {
                let promises = matches!(
                    **answer,
                    Ok(Reply::Enqueued(_) | Reply::Created(_) | Reply::Imported(_))
                );
                moment == Moment::Promised && promises
            }
            Self::Send(..) => moment == Moment::Sent,
            Self::Committed { .. } => moment == Moment::Committed,
            Self::Told(..) => moment == Moment::Told,
            _ => false,
        }
    }
}

/// The list of all effects that are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wants(Rc<RefCell<Vec<Out>>>);

impl Wants {
    pub(crate) fn push(&self, out: Out) {
        self.0.borrow_mut().push(out);
    }

    pub(super) fn take(&self) -> Vec<Out> {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}

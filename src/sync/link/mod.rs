//! The engine's one connection, as a machine: the times of connecting, the frames to send, the receiver of each
//! answer.
//!
//! ```text
//!            a client wants it                 routed              connected
//!   Idle ───────────────────────▶ LookingUp ───────▶ Connecting ──────────▶ Connected
//!    ▲                                ▲ │                │                      │
//!    │ not wanted, paused             │ └── failed ──────┴──── failed ── lost ──┤
//!    │                                │                                         ▼
//!    └────────────────────────────────┴────────── the pause is over ──────── Waiting
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `step.rs` | inputs, effects and requests |
//! | `machine.rs` | the states above, and the effect of each input in them |
//! | `route.rs` | the address of the next attempt, and the times of asking the router |
//! | `requests.rs` | serials, time-outs, the receiver of an answer |
//!
//! Rules for a caller: pass inputs one at a time, carry out all effects of a step in order, pass its deliveries
//! to the clients, and call [`Link::handle`] with [`LinkInput::Woke`] when the time of the last step's
//! `wake_after` has come. An early or needless wake does no harm.
//!
//! The link does not know sessions: clients open theirs when they get [`Delivery::Connected`].

mod machine;
mod requests;
mod route;
mod step;

pub use crate::model::NetworkChange;
pub use machine::Link;
pub use step::{
    ClientSlot, ConnectionNumber, Delivery, LinkEffect, LinkInput, LinkOptions, LinkRequest,
    LinkStep, LinkWish, LookUpNumber, RequestTag, Unanswered,
};

//! The engine's one connection, as a machine: when to connect, what to send, who gets an answer.
//!
//! ```text
//!            a client wants it                 routed              connected
//!   Idle ───────────────────────▶ LookingUp ───────▶ Connecting ──────────▶ Connected
//!    ▲                                ▲ │                │                      │
//!    │ nobody wants it, paused     │ └── failed ──────┴──── failed ── lost ──┤
//!    │                                │                                         ▼
//!    └────────────────────────────────┴────────── the pause is over ──────── Waiting
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `step.rs` | inputs, effects and requests |
//! | `machine.rs` | the states above, and what each input means in them |
//! | `route.rs` | which address is tried next, and when the router is asked again |
//! | `requests.rs` | serials, time-outs, whose answer it is |
//!
//! Rules for a caller: hand in inputs one at a time, carry out all effects of a step in
//! order, hand its deliveries to the clients, and call [`Link::handle`] with [`LinkInput::Woke`] when
//! the time of the last step's `wake_after` has come. An early or needless wake does no harm.
//!
//! It does not know what a session is: clients open theirs when they are told
//! [`Delivery::Connected`].

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

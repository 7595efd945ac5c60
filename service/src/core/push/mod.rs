//! Push: the devices that announced themselves, and which of them a message is pushed to.
//!
//! Who is offline, and what is pushed, is decided where a message is sent (`hooks/messages.rs`). The shell then
//! asks the app's hook, asks for the devices a part at a time, and hands the pushes to a sender.

mod installations;
mod targets;

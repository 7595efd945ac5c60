//! Push: the registered devices, and the devices that a message is pushed to.
//!
//! The sending of a message decides on the payload and the offline clients (`hooks/messages.rs`). The shell
//! then asks the app's hook, asks for the devices a part at a time, and passes the pushes to a sender.

mod installations;
mod targets;

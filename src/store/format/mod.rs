//! The bytes on disk: keys, frames, records, packs. No code here reads or writes a file.

pub(super) mod cipher;
pub(super) mod codec;
pub(super) mod compress;
pub(super) mod conversation_value;
pub(super) mod frame;
pub(super) mod key;
pub(super) mod messagepack;
pub(super) mod number;
pub(super) mod pack;
pub(super) mod pack_layout;
pub(super) mod record;
pub(super) mod record_entry;
pub(super) mod record_message;
pub(super) mod record_upload;

//! Dates as text, as the model has them: the wire writes and reads no other form.

pub use crate::model::iso::{format, parse};

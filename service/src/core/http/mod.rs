//! The answers to requests over HTTP.

mod answer;
pub(super) mod reading;
mod records;
mod servers;

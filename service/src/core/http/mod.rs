//! The answers to requests over HTTP.

mod answer;
mod records;
mod servers;

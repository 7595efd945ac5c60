//! The rules of moving: no clock, no disk, no network.
//!
//! | file | what it holds |
//! |---|---|
//! | `slice.rs` | stretches of history, their slices, and the rest of a slice after a page |
//! | `place.rs` | a time, and the id of the row there |
//! | `page.rs` | the fields of a page that are read, and the fields that are removed |
//! | `pace.rs` | the pace of requests |
//! | `row.rs` | one message in a page |
//! | `compare.rs` | several readings of the same time: edits, recalls, deletions |

pub mod compare;
pub mod pace;
pub mod page;
pub mod place;
pub mod row;
pub mod slice;

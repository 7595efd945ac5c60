//! The rules of moving, pure: no clock, no disk, no network.
//!
//! | file | what it holds |
//! |---|---|
//! | `slice.rs` | stretches of history, how they are cut, and what is left of one after a page |
//! | `place.rs` | a time, and the id of the row there |
//! | `page.rs` | what a page of the history interface says, and what is taken out of it |
//! | `pace.rs` | how fast requests may follow each other |
//! | `row.rs` | one message as a page has it |
//! | `compare.rs` | several readings of the same time: edits, recalls, deletions |

pub mod compare;
pub mod pace;
pub mod page;
pub mod place;
pub mod row;
pub mod slice;

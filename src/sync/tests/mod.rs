//! The machines in a simulated world: no sockets, no clock, no chance that is not seeded.

mod catch_up;
mod chat;
mod counts;
mod details;
mod every_write;
mod forward;
mod holds;
mod holes;
mod lanes;
mod link;
mod members;
mod options;
mod out_of_turn;
mod patches;
mod presence;
mod receipts;
mod recheck;
mod salvage;
mod schedules;
mod service;
mod session;
mod typing;
mod uploads;
mod verdicts;
mod watching;
mod world;

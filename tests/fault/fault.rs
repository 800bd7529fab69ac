//! Faults against the whole system.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod demo;
mod registry;

/// Scenarios take turns: each needs the machine for itself.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

//! What the whole-system tests share: the binary as a user starts it.

pub mod demo;
pub mod history;
pub mod oracle;
pub mod registry;

pub use demo::{Demo, Ended, meshwork, venv_python};

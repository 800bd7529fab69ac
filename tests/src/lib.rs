//! What the whole-system tests share: the binary as a user starts it.

pub mod demo;

pub use demo::{Demo, Ended, meshwork, venv_python};

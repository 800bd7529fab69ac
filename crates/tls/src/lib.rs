//! TLS for services that listen and that connect: certificates from files that may be replaced while
//! they are in use, and who a certificate is of.

mod client;
mod error;
mod files;
mod pem;
mod server;
mod subject;

pub use client::client_config;
pub use error::FileError;
pub use files::{File, Look, Named, Reloaded};
pub use pem::{certificates, identity_pem};
pub use server::{ClientCertificates, server_config};
pub use subject::{common_name, distinguished_name};

//! The project's speed, measured: each module is one bench and gives lines of the table.

pub mod freshness;
pub mod gateway;
mod java;
pub mod pipeline;
mod process;
pub mod produce;
mod product;
pub mod records;
pub mod registry;
pub mod table;
pub mod validator;

//! The project's speed, measured: each module is one bench and gives lines of the table.

pub mod freshness;
pub mod gateway;
pub mod pipeline;
pub mod produce;
pub mod records;
pub mod registry;
pub mod table;
pub mod validator;

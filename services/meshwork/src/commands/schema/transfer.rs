//! `meshwork schema export` and `import`: from one registry to another, ids and versions unchanged.

mod export;
mod feed;
mod import;
mod modes;
mod order;
mod portable;
mod settings;
mod source;
mod survey;

pub(super) use export::export;
pub(super) use import::import;

//! Every endpoint's answers, error codes and messages included: scripts, by topic.

mod by_id;
mod compatibility;
mod config;
mod contexts;
mod contract;
mod deleting;
mod form;
mod importing;
mod looking_up;
mod mode;
mod references;
mod registering;
mod versions;

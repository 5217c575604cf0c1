//! The newcomer's first minute: a stand-in bank, a gateway on the shipped configuration, and a story with real connections.
pub mod bank;

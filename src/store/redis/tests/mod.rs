//! What only a shared server can suffer: losing what it acknowledged, a failover, a fleet with somebody missing.

mod blocks;
mod chaos;
mod clocks;
mod cluster;
mod fleet;
mod journal;
mod losses;
pub(crate) mod rates;
mod reaching;
mod registry;
pub(crate) mod server;
pub(in crate::store) mod site;

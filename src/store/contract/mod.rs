//! What every store promises, as tests: the same functions run against each of them.

mod adjust;
mod cancel;
pub(super) mod disk;
mod entries;
pub(super) mod history;
mod model;
mod rules;
mod story;
pub(crate) mod stand;

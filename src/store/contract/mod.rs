//! What every store promises, as tests: the same functions run against each of them.

mod adjust;
mod cancel;
mod entries;
mod model;
mod rules;
mod story;
pub(crate) mod stand;

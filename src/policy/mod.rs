//! May they? What a request of a proven visitor is measured by before it is signed and forwarded.

pub mod body;

//! The bank's certificate authority.
//!
//! So far only [`development`]: the throw-away authority behind `sekisho pki dev`, which lets a newcomer see the
//! gateway work. A bank's real certificates come from the bank's real authority, and its keys never pass here.

pub mod development;

mod files;
mod issuing;
mod revocation_list;

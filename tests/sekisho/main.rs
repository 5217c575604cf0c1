//! What customers, applications and operators observe of a gateway, told from outside. Modules in request order.

mod handshake;
mod listeners;
mod refusal_page;
mod identity;
mod lists;
mod revocation;
mod support;
mod validity;

//! What customers, applications and operators observe of a gateway, told from outside. Modules in request order.

mod handshake;
mod listeners;
mod refusal_page;
mod identity;
mod lists;
mod revocation;
mod assertion;
mod headers;
mod forwarding;
mod smuggling;
mod streaming;
mod support;
mod upstream_failures;
mod validity;

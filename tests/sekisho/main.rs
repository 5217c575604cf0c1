//! What customers, applications and operators observe of a gateway, told from outside. Modules in request order.

mod support;

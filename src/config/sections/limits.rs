//! `[limits]`: what one client may cost.

use std::time::Duration;

use super::TIMEOUT;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{duration, integer, size};
use crate::connection::Limits;

const DAY: Duration = Duration::from_secs(86_400);

/// Reads `[limits]`; each key has a default that survives the public internet.
pub(in crate::config) fn read_limits(mut section: Section<'_>) -> Read<Limits> {
    let default = Limits::default();
    let handshake_timeout = section.or("handshake-timeout", default.handshake_timeout, duration(TIMEOUT));
    let header_timeout = section.or("header-timeout", default.header_timeout, duration(TIMEOUT));
    let idle_timeout = section.or("idle-timeout", default.idle_timeout, duration(TIMEOUT));
    let body_timeout = section.or("body-timeout", default.body_timeout, duration(TIMEOUT));
    let inspection_timeout = section.or("inspection-timeout", default.inspection_timeout, duration(TIMEOUT));
    let bytes = size(1 << 10..=64 << 30);
    let max_inspected_bytes = section.or("max-inspected-bytes", default.max_inspected_bytes, &bytes);
    let max_inspected_bytes_per_login_id =
        section.or("max-inspected-bytes-per-login-id", default.max_inspected_bytes_per_login_id, &bytes);
    let write_timeout = section.or("write-timeout", default.write_timeout, duration(TIMEOUT));
    let max_connections = section.or("max-connections", default.max_connections, integer(1..=10_000_000));
    let max_connections_per_address =
        section.or("max-connections-per-address", default.max_connections_per_address, integer(1..=10_000_000));
    let max_handshakes = section.or("max-handshakes", default.max_handshakes, integer(1..=1_000_000));
    let max_header_bytes = section.or("max-header-bytes", default.max_header_bytes, size(1 << 10..=1 << 20));
    let max_header_count = section.or("max-header-count", default.max_header_count, integer(1..=1_000));
    let max_target_bytes = section.or("max-target-bytes", default.max_target_bytes, size(256..=5 << 10));
    let max_streams = section.or("max-streams", default.max_streams, integer(1..=10_000));
    let max_resets = section.or("max-resets", default.max_resets, integer(1..=10_000));
    // Below a hundred, the frames with which every connection begins could be too many.
    let max_control_frames = section.or("max-control-frames", default.max_control_frames, integer(100..=1_000_000));
    let session_cache = section.or("session-cache", default.session_cache, size(0..=64 << 30));
    let session_lifetime = section.or("session-lifetime", default.session_lifetime, duration(Duration::ZERO..=DAY));
    section.finish();
    Ok(Limits {
        handshake_timeout: handshake_timeout?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        body_timeout: body_timeout?,
        inspection_timeout: inspection_timeout?,
        max_inspected_bytes: max_inspected_bytes?,
        max_inspected_bytes_per_login_id: max_inspected_bytes_per_login_id?,
        write_timeout: write_timeout?,
        max_connections: max_connections?,
        max_connections_per_address: max_connections_per_address?,
        max_handshakes: max_handshakes?,
        max_header_bytes: max_header_bytes?,
        max_header_count: max_header_count?,
        max_target_bytes: max_target_bytes?,
        max_streams: max_streams?,
        max_resets: max_resets?,
        max_control_frames: max_control_frames?,
        session_cache: session_cache?,
        session_lifetime: session_lifetime?,
    })
}

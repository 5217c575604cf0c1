//! `[upstream]`: the application's servers, and how they are spoken to.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

use super::TIMEOUT;
use super::upstream_tls::read_tls;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, choice, duration, flag, integer, size, text};
use crate::domain::HostName;
use crate::upstream::{HostHeader, Scheme, Server, Settings, UnderscoreHeaders};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const DOWN_TIME: Duration = Duration::from_secs(5);
/// A page that sets a dozen cookies still fits the least.
const HEADER_BYTES: RangeInclusive<usize> = 8 << 10..=1 << 20;

/// Reads `[upstream]`.
pub(in crate::config) fn read_upstream(mut section: Section<'_>, provider: &Arc<CryptoProvider>) -> Read<Settings> {
    let addresses = section.required_list("servers", address);
    let servers = read_servers(&mut section, addresses, provider);
    let connect_timeout = section.or("connect-timeout", CONNECT_TIMEOUT, duration(TIMEOUT));
    let response_timeout = section.or("response-timeout", RESPONSE_TIMEOUT, duration(TIMEOUT));
    let idle_timeout = section.or("idle-timeout", IDLE_TIMEOUT, duration(TIMEOUT));
    let max_connections = section.or("max-connections", 512, integer(1..=65_535));
    let down_time = section.or("down-time", DOWN_TIME, duration(Duration::ZERO..=*TIMEOUT.end()));
    let max_header_bytes = section.or("max-header-bytes", 64 << 10, size(HEADER_BYTES));
    let hosts = [("preserve", HostHeader::Preserve), ("upstream", HostHeader::Upstream)];
    let host = section.or("host", HostHeader::Preserve, choice(&hosts));
    let treatments = [("drop", UnderscoreHeaders::Drop), ("refuse", UnderscoreHeaders::Refuse)];
    let underscore_headers = section.or("underscore-headers", UnderscoreHeaders::Drop, choice(&treatments));
    let forwarded_headers = section.or("forwarded-headers", true, flag);
    let secure_cookies = section.or("secure-cookies", true, flag);
    let rewrite_location = section.or("rewrite-location", true, flag);
    let title_case_headers = section.or("title-case-headers", false, flag);
    section.finish();
    Ok(Settings {
        servers: servers?,
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
        idle_timeout: idle_timeout?,
        max_connections: max_connections?,
        down_time: down_time?,
        max_header_bytes: max_header_bytes?,
        host: host?,
        underscore_headers: underscore_headers?,
        forwarded_headers: forwarded_headers?,
        secure_cookies: secure_cookies?,
        rewrite_location: rewrite_location?,
        title_case_headers: title_case_headers?,
    })
}

/// One entry of `servers`.
struct Address {
    https: bool,
    host: HostName,
    port: u16,
    authority: String,
}

/// Reads `http://host`, `https://host:port`: nothing but scheme, host and port.
fn address(given: Given<'_>) -> Result<Address, String> {
    let url = text(given)?;
    let wrong = |why: &str| format!("is {url:?}, {why}");
    let (https, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(wrong("but must begin with http:// or https://")),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
    if authority.contains('@') {
        return Err(wrong("which holds user information"));
    }
    if authority.contains(['/', '?', '#']) {
        return Err(wrong("which holds a path: requests bring their own"));
    }
    let host =
        HostName::parse_authority(&authority).ok_or_else(|| wrong("which holds no host name with a valid port"))?;
    // The host is valid, so a colon after it (behind the bracket of an IPv6 address) begins the port.
    let after_host = authority.rsplit_once(']').map_or(authority.as_str(), |(_, after)| after);
    let port = match after_host.rsplit_once(':') {
        Some((_, port)) => {
            port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("whose port is not valid"))?
        }
        None if https => 443,
        None => 80,
    };
    Ok(Address { https, host, port, authority })
}

/// Joins the addresses with what `[upstream.tls]` says about those that are spoken to with TLS.
fn read_servers(
    section: &mut Section<'_>,
    addresses: Read<Vec<Address>>,
    provider: &Arc<CryptoProvider>,
) -> Read<Vec<Server>> {
    let tls = section.optional_table("tls").and_then(|tls| tls.map(|tls| read_tls(tls, provider)).transpose());
    let addresses = addresses?;
    if matches!(tls, Ok(Some(_))) && !addresses.iter().any(|address| address.https) {
        section.mistake("tls", "means nothing here: no server is spoken to with https://".into());
    }
    let mut servers: Vec<Server> = Vec::new();
    for (index, address) in addresses.into_iter().enumerate() {
        let key = format!("servers[{index}]");
        if servers.iter().any(|earlier| earlier.authority == address.authority) {
            section.mistake(&key, format!("{} stands twice in this list", address.authority));
        }
        if !address.https && !is_private(&address.host) {
            let text = format!("speaks plain HTTP to {}, which is not known to be a private address", address.host);
            section.warn(&key, text);
        }
        let scheme = match (address.https, &tls) {
            (false, _) => Scheme::Http,
            (true, Ok(Some(config))) => Scheme::Https(config.clone()),
            (true, Ok(None)) => {
                return Err(section.mistake(&key, "needs [upstream.tls] ca: no CA is trusted by itself".into()));
            }
            (true, Err(noted)) => return Err(*noted),
        };
        let host = address.host.to_string();
        servers.push(Server { scheme, host, port: address.port, authority: address.authority });
    }
    tls.and(Ok(servers))
}

/// Whether what is sent to this host stays on this machine or in a private network, as far as its name tells.
fn is_private(host: &HostName) -> bool {
    match host {
        HostName::Dns(name) => &**name == "localhost" || name.ends_with(".localhost"),
        HostName::Ip(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        HostName::Ip(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

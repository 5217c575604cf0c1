//! `[[listener]]`: the entrances, each by itself and then against the others that share its address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;

use super::{key_pair, table_name};
use crate::config::files;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, choice, parsed, parsed_by, text};
use crate::connection::listener::{Authentication, RefusalManner, Settings};
use crate::domain::HostName;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Certificate,
    Password,
    Enrolment,
}

/// Reads every `[[listener]]`.
pub(in crate::config) fn read_listeners(root: &mut Section<'_>, provider: &CryptoProvider) -> Read<Vec<Settings>> {
    let read: Vec<(Section<'_>, Read<Settings>)> = root
        .named_tables("listener")?
        .into_iter()
        .map(|mut section| {
            let settings = read_listener(&mut section, provider);
            (section, settings)
        })
        .collect();
    let good: Vec<_> = read.iter().filter_map(|(section, settings)| Some((section, settings.as_ref().ok()?))).collect();
    compare_names(&good);
    compare_neighbours(&good);
    drop(good);
    let (sections, settings): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    sections.into_iter().for_each(Section::finish);
    settings.into_iter().collect()
}

fn read_listener(section: &mut Section<'_>, provider: &CryptoProvider) -> Read<Settings> {
    let name = section.required("name", table_name);
    let address = section.required("address", parsed::<SocketAddr>("an IP address and a port, \"127.0.0.1:8443\""));
    let server_names = read_server_names(section);
    let path = section.path();
    let certificate = section.required("certificate", &path);
    let key = section.required("private-key", &path);
    let certificate = key_pair(section, certificate, key, provider);
    if let (Ok(names), Ok(certificate)) = (&server_names, &certificate) {
        review_certificate(section, names, certificate);
    }
    let authentication = read_authentication(section);
    let proxy_protocol_from = section.list("proxy-protocol-from", network);
    Ok(Settings {
        name: Arc::from(name?),
        address: address?,
        server_names: server_names?,
        certificate: certificate?,
        authentication: authentication?,
        proxy_protocol_from: proxy_protocol_from?.unwrap_or_default(),
    })
}

fn read_server_names(section: &mut Section<'_>) -> Read<Vec<HostName>> {
    let wanted = "a DNS name or an IP address, without a port or a wildcard";
    let names = section.required_list("server-names", parsed_by(wanted, HostName::parse))?;
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            section.mistake(&format!("server-names[{index}]"), format!("{name} stands twice in this list"));
        }
    }
    Ok(names)
}

/// A network, or one address as a network of its own.
fn network(given: Given<'_>) -> Result<IpNet, String> {
    let network = text(given)?;
    let parsed = network.parse().or_else(|_| network.parse().map(|address: std::net::IpAddr| IpNet::from(address)));
    let parsed: IpNet = parsed.map_err(|_| format!("is {network:?}, but must be a network, \"10.0.0.0/8\""))?;
    if parsed.trunc() == parsed {
        Ok(parsed)
    } else {
        Err(format!("is {network:?}, which is an address within the network {}", parsed.trunc()))
    }
}

fn read_authentication(section: &mut Section<'_>) -> Read<Authentication> {
    let modes = [("certificate", Mode::Certificate), ("password", Mode::Password), ("enrolment", Mode::Enrolment)];
    let mode = section.or("authentication", Mode::Certificate, choice(&modes));
    let manners = [("close", RefusalManner::Close), ("page", RefusalManner::Page)];
    let refusal = section.or("refusal", RefusalManner::Close, choice(&manners));
    match mode? {
        Mode::Certificate => Ok(Authentication::Certificate(refusal?)),
        Mode::Password if section.has("refusal") => {
            Err(section.mistake("refusal", "means nothing here: a password listener asks for no certificate".into()))
        }
        Mode::Password => Ok(Authentication::Password),
        Mode::Enrolment => Err(section.mistake("authentication", "\"enrolment\" is not supported yet".into())),
    }
}

/// Warns of a certificate that its visitors will not accept. Serving it is the operator's right: it may be a test's.
fn review_certificate(section: &Section<'_>, names: &[HostName], certificate: &CertifiedKey) {
    let Some(der) = certificate.cert.first() else { return };
    if let Some(parsed) = files::parse(der) {
        let now = section.context.clock.unix_seconds();
        let validity = parsed.validity();
        if now < validity.not_before.timestamp() {
            section.warn("certificate", format!("is not valid before {}", validity.not_before));
        }
        if now > validity.not_after.timestamp() {
            section.warn("certificate", format!("has expired: it was valid until {}", validity.not_after));
        }
    }
    let Ok(end_entity) = webpki::EndEntityCert::try_from(der) else { return };
    for name in names {
        let HostName::Dns(dns) = name else { continue };
        let covered = ServerName::try_from(dns.as_ref())
            .is_ok_and(|name| end_entity.verify_is_valid_for_subject_name(&name).is_ok());
        if !covered {
            section.warn("certificate", format!("does not cover the server name {dns}"));
        }
    }
}

fn compare_names(listeners: &[(&Section<'_>, &Settings)]) {
    let mut seen = BTreeSet::new();
    for (section, settings) in listeners {
        if !seen.insert(&settings.name) {
            section.mistake("name", format!("another listener is called {} too", settings.name));
        }
    }
}

/// Listeners that share an address are told apart by SNI, after the PROXY header has been read.
fn compare_neighbours(listeners: &[(&Section<'_>, &Settings)]) {
    let mut addresses: BTreeMap<SocketAddr, Vec<(&Section<'_>, &Settings)>> = BTreeMap::new();
    for (section, settings) in listeners {
        addresses.entry(settings.address).or_default().push((section, settings));
    }
    for (address, neighbours) in addresses.iter().filter(|(_, neighbours)| neighbours.len() > 1) {
        for (index, (section, settings)) in neighbours.iter().enumerate() {
            if !settings.server_names.iter().any(|name| matches!(name, HostName::Dns(_))) {
                let text = format!("holds no DNS name: nobody can ask for this listener, others share {address}");
                section.mistake("server-names", text);
            }
            for (_, earlier) in &neighbours[..index] {
                compare_two(section, settings, earlier);
            }
        }
    }
}

fn compare_two(section: &Section<'_>, settings: &Settings, earlier: &Settings) {
    for (index, name) in settings.server_names.iter().enumerate() {
        if earlier.server_names.contains(name) {
            let text = format!("{name} is already a name of the listener {} on the same address", earlier.name);
            section.mistake(&format!("server-names[{index}]"), text);
        }
    }
    let networks = |settings: &Settings| settings.proxy_protocol_from.iter().copied().collect::<BTreeSet<_>>();
    if networks(settings) != networks(earlier) {
        let text = format!(
            "differs from that of the listener {} on the same address: the PROXY header comes before the name",
            earlier.name
        );
        section.mistake("proxy-protocol-from", text);
    }
}

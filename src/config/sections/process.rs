//! What concerns the process as a whole: its own keys, `[operator]` and `[help-desk]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use super::TIMEOUT;
use crate::config::Process;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, duration, flag, integer, lines, parsed};
use crate::connection::listener;
use crate::operator::{self, SecondPerson};
use crate::refusal::HelpDesk;

const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const OPERATOR_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);

/// The longest path of a Unix socket on Linux (`sun_path` less its NUL).
const MAX_SOCKET_PATH: usize = 107;

/// The keys that stand before the first section.
pub(in crate::config) fn read_process(root: &mut Section<'_>) -> Read<Process> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let workers = root.or("workers", cores, |given| match given {
        Given::Text("auto") | Given::Variable("auto") => Ok(cores),
        other => integer(1..=256)(other).map_err(|text| format!("{text}, or \"auto\"")),
    });
    if let Ok(workers) = workers
        && workers > cores
    {
        root.warn("workers", format!("{workers} workers share {cores} cores: more than one each only adds switching"));
    }
    let path = root.path();
    let state_directory = root.or("state-directory", root.context.base.join("state"), path);
    if let Ok(path) = &state_directory
        && path.exists()
        && !path.is_dir()
    {
        root.mistake("state-directory", format!("{} is not a directory", path.display()));
    }
    let drain_timeout = root.or("drain-timeout", DRAIN_TIMEOUT, duration(Duration::ZERO..=*TIMEOUT.end()));
    Ok(Process { workers: workers?, state_directory: state_directory?, drain_timeout: drain_timeout? })
}

/// `[operator]`; its control socket stands in the state directory unless told otherwise.
pub(in crate::config) fn read_operator(
    mut section: Section<'_>,
    state_directory: &Path,
    listeners: &[listener::Settings],
) -> Read<operator::Settings> {
    let address = section.or("address", OPERATOR_ADDRESS, parsed("an IP address and a port, \"127.0.0.1:9900\""));
    if let Ok(address) = address
        && !address.ip().is_loopback()
    {
        let text = "not supported yet: an operator address that is not loopback needs TLS with client certificates";
        section.mistake("address", text.into());
    }
    for listener in listeners.iter().filter(|listener| listener.address.port() != 0 && Ok(listener.address) == address)
    {
        section.mistake("address", format!("{} is the address of the listener {}", listener.address, listener.name));
    }
    let path = section.path();
    let control = section.or("control", state_directory.join("control.sock"), path);
    if let Ok(path) = &control
        && path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH
    {
        let text = format!("{} is longer than the {MAX_SOCKET_PATH} bytes a socket's path may have", path.display());
        section.mistake("control", text);
    }
    if let Ok(path) = &control
        && path.symlink_metadata().is_ok_and(|found| !found.file_type().is_socket())
    {
        section
            .mistake("control", format!("{}: something else lies where the control socket is to be", path.display()));
    }
    let second_person = section.or("second-person", SecondPerson::NotNeeded, |given| {
        Ok(if flag(given)? { SecondPerson::Needed } else { SecondPerson::NotNeeded })
    });
    section.finish();
    Ok(operator::Settings { address: address?, control: control?, second_person: second_person? })
}

/// `[help-desk]`.
pub(in crate::config) fn read_help_desk(mut section: Section<'_>) -> Read<HelpDesk> {
    let japanese = section.or("text", String::new(), lines);
    let english = section.or("text-en", String::new(), lines);
    section.finish();
    Ok(HelpDesk { japanese: japanese?, english: english? })
}

//! The PROXY protocol, version 2: a load balancer in front tells the true client address (RTL-05).
//!
//! Exactly the header's octets are read, because what follows is the ClientHello.

use std::io;
use std::net::SocketAddr;

use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The longest header that is read; addresses take 36 octets, the rest are TLVs that nobody here asks for.
const MAX_HEADER_BYTES: usize = 4096;

/// Reads the header. The address is the true client's, or `peer` for a load balancer's own check (`LOCAL`).
pub(super) async fn read_header(stream: &mut TcpStream, peer: SocketAddr) -> io::Result<SocketAddr> {
    let refuse = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("PROXY header: {what}"));
    let mut header = vec![0; 16];
    stream.read_exact(&mut header).await?;
    if !header.starts_with(PROTOCOL_PREFIX) {
        return Err(refuse("missing"));
    }
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if 16 + length > MAX_HEADER_BYTES {
        return Err(refuse("too long"));
    }
    header.resize(16 + length, 0);
    stream.read_exact(&mut header[16..]).await?;
    let header = Header::try_from(&header[..]).map_err(|_| refuse("malformed"))?;
    match (header.command, header.addresses) {
        (Command::Local, _) => Ok(peer),
        (Command::Proxy, Addresses::IPv4(v4)) => Ok((v4.source_address, v4.source_port).into()),
        (Command::Proxy, Addresses::IPv6(v6)) => Ok((v6.source_address, v6.source_port).into()),
        (Command::Proxy, Addresses::Unix(_) | Addresses::Unspecified) => Err(refuse("no internet address")),
    }
}

//! PROXY v2 from listed networks, and from nobody else.

use std::net::Ipv4Addr;

use crate::support::TestGateway;

const LISTED: &str = "[[listener]]\nname = \"certificate\"\nproxy-protocol-from = [\"127.0.0.0/8\"]";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header that says the client is at 203.0.113.7, with extra bytes of type-length-values.
fn header(command: u8, extra: &[u8]) -> Vec<u8> {
    let mut addresses = Vec::new();
    addresses.extend(Ipv4Addr::new(203, 0, 113, 7).octets());
    addresses.extend(Ipv4Addr::new(192, 0, 2, 1).octets());
    addresses.extend(40_000_u16.to_be_bytes());
    addresses.extend(443_u16.to_be_bytes());
    addresses.extend(extra);
    let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[0x20 | command, 0x11], &length, &addresses].concat()
}

#[tokio::test]
async fn the_true_address_of_the_client_is_told_to_the_application() {
    let gateway = TestGateway::builder().layer(LISTED).spawn().await;
    for extra in [&[][..], &[0x04, 0, 3, 1, 2, 3]] {
        let customer = gateway.enrol("hanakodt").with_preamble(&header(1, extra));
        gateway.assert_served(&customer).await;
        assert_eq!(gateway.backend.last().folded("X-Forwarded-For"), ["203.0.113.7"]);
    }
}

#[tokio::test]
async fn an_ipv6_client_is_told_too() {
    let gateway = TestGateway::builder().layer(LISTED).spawn().await;
    let client: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
    let mut bytes = [&SIGNATURE[..], &[0x21, 0x21, 0, 36]].concat();
    bytes.extend(client.octets());
    bytes.extend(std::net::Ipv6Addr::LOCALHOST.octets());
    bytes.extend([0x9c, 0x40, 0x01, 0xbb]);
    gateway.assert_served(&gateway.enrol("hanakodt").with_preamble(&bytes)).await;
    assert_eq!(gateway.backend.last().folded("X-Forwarded-For"), ["2001:db8::7"]);
}

/// The balancer's own health checks carry no client.
#[tokio::test]
async fn a_local_header_names_the_balancer_itself() {
    let gateway = TestGateway::builder().layer(LISTED).spawn().await;
    let local = [&SIGNATURE[..], &[0x20, 0x00, 0, 0]].concat();
    gateway.assert_served(&gateway.enrol("hanakodt").with_preamble(&local)).await;
    assert_eq!(gateway.backend.last().folded("X-Forwarded-For"), ["127.0.0.1"]);
}

#[tokio::test]
async fn a_missing_or_malformed_header_ends_the_connection() {
    let gateway = TestGateway::builder().layer(LISTED).spawn().await;
    let good = header(1, &[]);
    let mut version = good.clone();
    version[12] = 0x11;
    let mut command = good.clone();
    command[12] = 0x2f;
    let mut short = good.clone();
    short[15] = 4;
    let mut long = good.clone();
    long[14..16].copy_from_slice(&0xffff_u16.to_be_bytes());
    let table = [
        ("none", Vec::new()),
        ("version 1", b"PROXY TCP4 203.0.113.7 192.0.2.1 40000 443\r\n".to_vec()),
        ("an unknown version", version),
        ("an unknown command", command),
        ("too short for its addresses", short),
        ("longer than any", long),
        ("twice", [good.clone(), good].concat()),
    ];
    for (what, preamble) in table {
        println!("{what}");
        gateway.enrol("hanakodt").with_preamble(&preamble).expect_refusal().await;
    }
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn a_header_from_an_unlisted_network_is_an_error() {
    let gateway = TestGateway::spawn().await;
    gateway.enrol("hanakodt").with_preamble(&header(1, &[])).expect_refusal().await;
    gateway.assert_backend_untouched();
    let elsewhere = LISTED.replace("127.0.0.0/8", "10.0.0.0/8");
    let gateway = TestGateway::builder().layer(elsewhere).spawn().await;
    gateway.enrol("hanakodt").with_preamble(&header(1, &[])).expect_refusal().await;
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

/// The address that counts is the client's, not the balancer's.
#[tokio::test]
async fn connections_are_limited_by_the_true_address() {
    let layer = format!("{LISTED}\n[limits]\nmax-connections-per-address = 1");
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let customer = gateway.enrol("hanakodt").with_preamble(&header(1, &[]));
    let mut first = customer.connect().await;
    gateway.assert_served_on(&mut first).await;
    customer.expect_refusal().await;
    let local = [&SIGNATURE[..], &[0x20, 0x00, 0, 0]].concat();
    gateway.assert_served(&gateway.enrol("tarokodt").with_preamble(&local)).await;
}

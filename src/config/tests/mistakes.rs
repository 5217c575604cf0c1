//! One mistake at a time against what is said about it, and many at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};

use super::{SHIPPED, Site, line};

#[test]
fn every_mistake_is_listed_at_once_in_the_order_of_the_file() {
    let site = Site::new();
    let mut text = SHIPPED.to_owned();
    let changes = [
        ("workers = \"auto\"", "workers = 0"),
        ("address = \"127.0.0.1:8443\"", "address = \"localhost:8443\""),
        ("private-key = \"certs/server.key\"", "private_key = \"certs/server.key\""),
        ("crl-grace = \"0s\"", "crl-grace = \"soon\""),
        ("registry = \"off\"", "registry = \"on\""),
        ("lifetime = \"30s\"", "lifetime = \"1h\""),
        ("algorithm = \"HS256\"", "algorithm = \"none\""),
        ("[\"http://127.0.0.1:9000\"]", "[\"http://127.0.0.1:9000/ib\"]"),
        ("max-header-count = 100", "max-header-count = \"100\""),
        ("address = \"127.0.0.1:9900\"", "address = \"0.0.0.0:9900\""),
    ];
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    text.push_str("[access-log]\nfile = \"x\"\n[metrics]\n");
    site.file("config.toml", &text);
    let end = text.lines().count();
    let at = |number: usize, rest: &str| format!("config.toml line {number}: {rest}");
    assert_eq!(
        site.told(site.load(&["config.toml"], &[])),
        [
            at(line("workers"), "workers: is the number 0, but must be a whole number from 1 to 256, or \"auto\""),
            at(line("[[listener]]"), "listener.certificate.private-key: is missing"),
            at(
                line("address = \"127.0.0.1:8443\""),
                "listener.certificate.address: is \"localhost:8443\", but must be \
                 an IP address and a port, \"127.0.0.1:8443\""
            ),
            at(line("private-key"), "listener.certificate.private_key: unknown key; did you mean private-key?"),
            at(line("crl-grace"), "trust.crl-grace: \"soon\" is no duration: write one such as \"30s\""),
            at(line("registry"), "trust.registry: is \"on\", but must be \"off\" or \"learn-first\" or \"enforce\""),
            at(line("lifetime"), "assertion.lifetime: \"1h\" is not within 1s and 5m"),
            at(
                line("keys"),
                "assertion.keys[0].algorithm: is \"none\", but must be \"HS256\" or \"ES256\" or \"EdDSA\""
            ),
            at(
                line("servers"),
                "upstream.servers[0]: is \"http://127.0.0.1:9000/ib\", which holds a path: requests bring their own"
            ),
            at(
                line("max-header-count"),
                "limits.max-header-count: is \"100\", but must be a whole number from 1 to 1000"
            ),
            at(
                line("address = \"127.0.0.1:9900\""),
                "operator.address: not supported yet: \
                 an operator address that is not loopback needs TLS with client certificates"
            ),
            at(end - 2, "access-log: not supported yet"),
            at(end, "metrics: unknown key"),
        ]
    );
}

/// What stands in the shipped file, what is put there, and how the mistake about it begins.
const SINGLE: &[(&str, &str, &str)] = &[
    ("name = \"certificate\"", "", "listener.#1.name: is missing"),
    ("name = \"certificate\"", "name = \"a b\"", "listener.a b.name: is \"a b\", but must be"),
    (
        "second-person = false",
        "second-person = \"yes\"",
        "operator.second-person: is \"yes\", but must be true or false",
    ),
    ("[[listener]]", "[listener]", "listener: must be written as one [[listener]] for each"),
    ("server-names = [\"localhost\"]", "server-names = []", "listener.certificate.server-names: is empty"),
    (
        "server-names = [\"localhost\"]",
        "server-names = \"localhost\"",
        "listener.certificate.server-names: is \"localhost\", but must be a list",
    ),
    (
        "[\"localhost\"]",
        "[\"*.bank.example\"]",
        "listener.certificate.server-names[0]: is \"*.bank.example\", but must be a DNS name",
    ),
    (
        "[\"localhost\"]",
        "[\"localhost\", \"LOCALHOST\"]",
        "listener.certificate.server-names[1]: localhost stands twice",
    ),
    (
        "authentication = \"certificate\"",
        "authentication = \"enrolment\"",
        "listener.certificate.authentication: \"enrolment\" is not supported yet",
    ),
    (
        "authentication = \"certificate\"",
        "authentication = \"password\"",
        "listener.certificate.refusal: means nothing here",
    ),
    (
        "refusal = \"close\"",
        "refusal = \"maybe\"",
        "listener.certificate.refusal: is \"maybe\", but must be \"close\" or \"page\"",
    ),
    (
        "proxy-protocol-from = []",
        "proxy-protocol-from = [\"all\"]",
        "listener.certificate.proxy-protocol-from[0]: is \"all\", but must be a network",
    ),
    (
        "proxy-protocol-from = []",
        "proxy-protocol-from = [\"10.0.0.1/8\"]",
        "listener.certificate.proxy-protocol-from[0]: is \"10.0.0.1/8\", which is an address within",
    ),
    ("ca = [\"certs/ca.pem\"]", "ca = []", "trust.ca: is empty"),
    ("crl = [\"certs/ca.crl\"]", "crl = []", "trust.crl: is empty"),
    ("crl = [\"certs/ca.crl\"]", "", "trust.crl: is missing"),
    ("crl-grace = \"0s\"", "crl-grace = 0.5", "trust.crl-grace: is a number with a fraction, but must be a duration"),
    ("crl-grace = \"0s\"", "crl-grace = 2026-11-01", "trust.crl-grace: is a date, but must be a duration"),
    (
        "login-id = \"[!-~]{6,12}\"",
        "login-id = \"[\"",
        "identity.login-id: is \"[\", which is not a regular expression",
    ),
    (
        "login-id = \"[!-~]{6,12}\"",
        "login-id = \"a)|(b\"",
        "identity.login-id: is \"a)|(b\", which is not a regular expression",
    ),
    ("{login-id} ~\"]", "~\"]", "identity.common-name[0]: `OOZORA SHINKUMI ANSER SERVICE ~`: it must hold {login-id}"),
    ("organization = \"OOZORA SHINKUMI\"", "organization = \" \"", "identity.organization: is blank"),
    (
        "login-id-header = \"X-Login-Id\"",
        "login-id-header = \"Cookie\"",
        "assertion.login-id-header: is \"Cookie\", a header that already means",
    ),
    (
        "login-id-header = \"X-Login-Id\"",
        "login-id-header = \"X_Forwarded_For\"",
        "assertion.login-id-header: is \"X_Forwarded_For\", a header that already",
    ),
    (
        "login-id-header = \"X-Login-Id\"",
        "login-id-header = \"X Login\"",
        "assertion.login-id-header: is \"X Login\", which is not a header's name",
    ),
    (
        "login-id-header = \"X-Login-Id\"",
        "login-id-header = \"X_LOGIN_ASSERTION\"",
        "assertion.header: x-login-assertion is already the name of login-id-header",
    ),
    ("audience = \"core-banking\"", "", "assertion.audience: is missing"),
    ("keys = [{", "keys = [] # [{", "assertion.keys: is empty"),
    (
        "keys = [{",
        "keys = [{ id = \"2026-11\", algorithm = \"HS256\", file = \"certs/assertion.key\" }, {",
        "assertion.keys[1].id: \"2026-11\" is already the ID",
    ),
    ("id = \"2026-11\", ", "", "assertion.keys[0].id: is missing"),
    ("\"HS256\"", "\"ES256\"", "assertion.keys[0].file: certs/assertion.key: an ES256 key is a PKCS#8 PEM"),
    (
        "[\"http://127.0.0.1:9000\"]",
        "[\"127.0.0.1:9000\"]",
        "upstream.servers[0]: is \"127.0.0.1:9000\", but must begin with http://",
    ),
    (
        "[\"http://127.0.0.1:9000\"]",
        "[\"http://a@b\"]",
        "upstream.servers[0]: is \"http://a@b\", which holds user information",
    ),
    (
        "[\"http://127.0.0.1:9000\"]",
        "[\"http://127.0.0.1:0\"]",
        "upstream.servers[0]: is \"http://127.0.0.1:0\", whose port is not valid",
    ),
    ("[\"http://127.0.0.1:9000\"]", "[\"https://127.0.0.1\"]", "upstream.servers[0]: needs [upstream.tls] ca"),
    ("[limits] ", "[upstream.tls]\nca = [\"certs/ca.pem\"]\n[limits] ", "upstream.tls: means nothing here"),
    ("# idle-timeout = \"4s\"", "idle-timeout = \"0s\"", "upstream.idle-timeout: \"0s\" is not within 10ms and 1h"),
    (
        "max-header-bytes = \"16KiB\"",
        "max-header-bytes = \"512B\"",
        "limits.max-header-bytes: \"512B\" is not within 1KiB and 1MiB",
    ),
    (
        "max-connections = 10000",
        "max-connections = 99999999999999999999",
        "limits.max-connections: is the number 99999999999999999999, but must be",
    ),
    (
        "address = \"127.0.0.1:9900\"",
        "address = \"127.0.0.1:8443\"",
        "operator.address: 127.0.0.1:8443 is the address of the listener certificate",
    ),
    ("text = \"\"", "text = 1", "help-desk.text: is the number 1, but must be text"),
    ("[help-desk]", "[access-log]\nfile = \"x\"\n[help-desk]", "access-log: not supported yet"),
    ("cookies = [\"JSESSIONID\"]", "", "session.cookies: is missing"),
    (
        "cookies = [\"JSESSIONID\"]",
        "cookies = [\"a b\"]",
        "session.cookies[0]: is \"a b\", but must be at most 64 letters",
    ),
    ("cookies = [\"JSESSIONID\"]", "cookies = []", "session.cookies: is empty: a session is learned from the cookie"),
    ("login-page = \"/ib/login.do\"", "login-page = \"/ib//login.do\"", "session.login-page: is \"/ib//login.do\""),
    ("login-page = \"/ib/login.do\"", "login-page = \"/ib/login.do#x\"", "session.login-page: is \"/ib/login.do#x\""),
    (
        "login-page = \"/ib/login.do\"",
        "login-page = \"/ib/transfer/x\"",
        "session.login-page: \"/ib/transfer/x\" lies on",
    ),
    (
        "cookies = [\"JSESSIONID\"]",
        "cookies = [\"SESSION_ID\", \"SessionId\"]",
        "session.cookies: some readers take \"SessionId\" for another of them",
    ),
    ("login-page = \"/ib/login.do\"", "login-page = \"//evil.example/\"", "session.login-page: is \"//evil.example/\""),
    (
        "login-page = \"/ib/login.do\"",
        "form-fields = [\"sid\"]\nlogin-page = \"/ib/login.do\"",
        "session.form-fields: is not",
    ),
    ("[help-desk]", "[help-dest]", "help-dest: unknown key; did you mean help-desk?"),
];

#[test]
fn each_mistake_is_told_alone() {
    let site = Site::new();
    for (old, new, expected) in SINGLE {
        let told = site.told(site.load_with(old, new));
        let begins = |line: &String| line.split_once(": ").is_some_and(|(_, rest)| rest.starts_with(expected));
        assert!(told.len() == 1 && told.iter().all(begins), "{new}: {told:#?}");
    }
}

#[test]
fn missing_files_name_the_command_that_makes_them() {
    let site = Site::new();
    fs::remove_dir_all(site.path("certs")).unwrap();
    let remedy = "sekisho pki dev certs makes one for development";
    let at = |start: &str, key: &str, file: &str| {
        format!("config.toml line {}: {key}: certs/{file} does not exist; {remedy}", line(start))
    };
    assert_eq!(
        site.told(site.load(&["config.toml"], &[])),
        [
            at("certificate", "listener.certificate.certificate", "server.pem"),
            at("private-key", "listener.certificate.private-key", "server.key"),
            at("ca =", "trust.ca[0]", "ca.pem"),
            at("crl =", "trust.crl[0]", "ca.crl"),
            at("keys", "assertion.keys[0].file", "assertion.key"),
        ]
    );
}

#[test]
fn a_file_that_is_not_what_its_key_wants_is_a_mistake() {
    type Spoil = fn(&Site);
    let cases: &[(Spoil, &str)] = &[
        (|site| drop(site.file("certs/ca.pem", "")), "trust.ca[0]: certs/ca.pem is empty"),
        (|site| drop(site.file("certs/ca.pem", "hello")), "trust.ca[0]: certs/ca.pem holds no certificate in PEM"),
        (
            |site| {
                fs::copy(site.path("certs/server.pem"), site.path("certs/ca.pem")).unwrap();
            },
            "trust.ca[0]: certs/ca.pem: certificate 1 of 1: it is not a CA certificate",
        ),
        (
            |site| drop(site.file("certs/ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
            "trust.ca[0]: certs/ca.pem holds something that is not a certificate",
        ),
        (
            |site| drop(site.file("certs/server.pem", "-----BEGIN CERTIFICATE-----\n")),
            "listener.certificate.certificate: certs/server.pem holds a PEM section that cannot be read",
        ),
        (
            |site| site.secret("certs/server.key", KeyPair::generate().unwrap().serialize_pem().as_bytes()),
            "listener.certificate.private-key: is not the key of the certificate beside it",
        ),
        (
            |site| site.secret("certs/server.key", b"secret"),
            "listener.certificate.private-key: certs/server.key holds no private key in PEM",
        ),
        (
            |site| fs::set_permissions(site.path("certs/server.key"), fs::Permissions::from_mode(0o644)).unwrap(),
            "listener.certificate.private-key: certs/server.key can be read by everybody (mode 0644)",
        ),
        (
            |site| site.secret("certs/assertion.key", &[7; 31]),
            "assertion.keys[0].file: certs/assertion.key: an HS256 key is 32 random bytes or more",
        ),
        (
            |site| {
                fs::remove_file(site.path("certs/assertion.key")).unwrap();
                fs::create_dir(site.path("certs/assertion.key")).unwrap();
            },
            "assertion.keys[0].file: certs/assertion.key is not a file",
        ),
    ];
    for (spoil, expected) in cases {
        let site = Site::new();
        spoil(&site);
        let told = site.told(site.load(&["config.toml"], &[]));
        assert!(told.len() == 1 && told[0].contains(expected), "{expected}: {told:#?}");
    }
}

#[test]
fn a_broken_revocation_list_is_a_mistake_of_its_file() {
    let site = Site::new();
    site.file("certs/ca.crl", "hello");
    let told = site.told(site.load(&["config.toml"], &[]));
    assert!(told[0].contains(": trust.crl") && !told.is_empty(), "{told:#?}");

    let directory = site.path("certs/lists");
    fs::create_dir(&directory).unwrap();
    let told = site.told(site.load_with("[\"certs/ca.crl\"]", "[\"certs/lists\"]"));
    assert!(told.len() == 1 && told[0].contains(": trust.crl: "), "{told:#?}");
}

#[test]
fn a_secret_may_be_read_by_its_group() {
    let site = Site::new();
    fs::set_permissions(site.path("certs/server.key"), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(site.load(&["config.toml"], &[]).is_ok());
}

#[test]
fn listeners_on_one_address_must_be_told_apart() {
    let site = Site::new();
    let other = |name: &str, names: &str, more: &str| {
        format!(
            "[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:8443\"\nserver-names = {names}\n\
             certificate = \"certs/server.pem\"\nprivate-key = \"certs/server.key\"\n{more}\n[trust]\n"
        )
    };
    let told = |listener: String| {
        site.told(site.load_with("[trust]\n", &listener))
            .into_iter()
            .map(|line| line.split_once(": ").unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(other("second", "[\"127.0.0.1\"]", "proxy-protocol-from = [\"10.0.0.0/8\"]")),
        [
            "listener.second.server-names: holds no DNS name: \
             nobody can ask for this listener, others share 127.0.0.1:8443",
            "listener.second.proxy-protocol-from: differs from that of \
             the listener certificate on the same address: the PROXY header comes before the name",
        ]
    );
    assert_eq!(
        told(other("second", "[\"bank.example\", \"localhost\"]", "")),
        ["listener.second.server-names[1]: localhost is already a name of \
             the listener certificate on the same address"]
    );
    assert_eq!(
        told(other("Certificate", "[\"bank.example\"]", "")),
        ["listener.certificate: the name \"Certificate\" stands twice in this file"]
    );
    assert!(site.load_with("[trust]\n", &other("second", "[\"bank.example\"]", "")).is_ok());
}

#[test]
fn an_expired_server_certificate_is_a_warning() {
    let site = Site::new();
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2026, 11, 14);
    let key = KeyPair::generate().unwrap();
    site.file("certs/server.pem", &params.self_signed(&key).unwrap().pem());
    site.secret("certs/server.key", key.serialize_pem().as_bytes());
    let config = site.load(&["config.toml"], &[]).unwrap();
    assert!(
        site.warned(&config)[0].contains("listener.certificate.certificate: has expired: it was valid until Nov 14")
    );
}

#[test]
fn mistakes_in_the_upstreams_tls_are_told_together() {
    let site = Site::new();
    let tls = "[upstream.tls]\nca = [\"certs/server.pem\", \"certs/none.pem\"]\nserver-name = \"a b\"\n\
               certificate = \"certs/server.pem\"\ntrust-all = true\n[limits] ";
    let told = site.told(site.load_with("[limits] ", tls));
    let expected = [
        "certs/server.pem holds CN=rcgen self signed cert, which is not the certificate of a CA",
        "upstream.tls.ca[1]: certs/none.pem does not exist; sekisho pki dev certs makes one for development",
        "upstream.tls.server-name: is \"a b\", but must be a DNS name or an IP address, without a port",
        "upstream.tls.certificate: needs private-key beside it",
        "upstream.tls.trust-all: unknown key",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    assert!(told.iter().zip(expected).all(|(line, expected)| line.ends_with(expected)), "{told:#?}");
}

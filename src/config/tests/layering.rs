//! Files over files, and the environment over all of them.

use std::time::Duration;

use super::{SHIPPED, Site};
use crate::config::layers::Layers;
use crate::config::mistake::Report;
use crate::connection::listener::{Authentication, RefusalManner};

#[test]
fn a_later_file_changes_what_it_names_and_nothing_else() {
    let site = Site::new();
    site.file(
        "profile.toml",
        "[[listener]]\nname = \"certificate\"\nrefusal = \"page\"\n\
         [[listener]]\nname = \"password\"\naddress = \"127.0.0.1:8444\"\nserver-names = [\"localhost\"]\n\
         certificate = \"certs/server.pem\"\nprivate-key = \"certs/server.key\"\nauthentication = \"password\"\n\
         [upstream]\nservers = [\"http://127.0.0.1:9001\", \"http://127.0.0.1:9002\"]\n\
         [limits]\nmax-streams = 7\n",
    );
    let config = site.load(&["config.toml", "profile.toml"], &[]).unwrap();

    let names: Vec<&str> = config.listeners.iter().map(|listener| &*listener.name).collect();
    assert_eq!(names, ["certificate", "password"]);
    assert_eq!(config.listeners[0].authentication, Authentication::Certificate(RefusalManner::Page));
    assert_eq!(config.listeners[0].address, "127.0.0.1:8443".parse().unwrap());
    assert_eq!(config.listeners[1].authentication, Authentication::Password);
    let authorities: Vec<&str> = config.upstream.servers.iter().map(|server| &*server.authority).collect();
    assert_eq!(authorities, ["127.0.0.1:9001", "127.0.0.1:9002"]);
    assert_eq!((config.limits.max_streams, config.limits.max_header_count), (7, 100));
}

#[test]
fn a_mistake_names_the_layer_it_stands_in() {
    let site = Site::new();
    std::fs::create_dir(site.path("profiles")).unwrap();
    site.file(
        "profiles/bank.toml",
        "[trust]\ncrl-grace = 5\nca = [\"elsewhere.pem\"]\n[[listener]]\nname = \"Certificate\"\naddress = \"x\"\n",
    );
    assert_eq!(
        site.told(site.load(&["config.toml", "profiles/bank.toml"], &[])),
        [
            "profiles/bank.toml line 2: trust.crl-grace: is the number 5, but must be a duration such as \"30s\"",
            "profiles/bank.toml line 3: trust.ca[0]: elsewhere.pem does not exist",
            "profiles/bank.toml line 6: listener.certificate.address: \
             is \"x\", but must be an IP address and a port, \"127.0.0.1:8443\"",
        ]
    );
}

#[test]
fn variables_override_single_values() {
    let site = Site::new();
    let config = site
        .load(
            &["config.toml"],
            &[
                ("PATH", "/bin"),
                ("SEKISHO_TRUST__CRL_GRACE", "1h"),
                ("SEKISHO_LISTENER__CERTIFICATE__ADDRESS", "127.0.0.1:0"),
                ("SEKISHO_LISTENER__certificate__refusal", "page"),
                ("SEKISHO_UPSTREAM__SECURE_COOKIES", "false"),
                ("SEKISHO_LIMITS__MAX_STREAMS", "012"),
                ("SEKISHO_ASSERTION__AUDIENCE", "0123"),
                ("SEKISHO_HELP_DESK__TEXT_EN", "Call 0120"),
                ("SEKISHO_WORKERS", "1"),
            ],
        )
        .unwrap();
    assert_eq!(config.trust.crl_grace, Duration::from_secs(3600));
    assert_eq!(config.listeners[0].address, "127.0.0.1:0".parse().unwrap());
    assert_eq!(config.listeners[0].authentication, Authentication::Certificate(RefusalManner::Page));
    assert!(!config.upstream.secure_cookies);
    assert_eq!(config.limits.max_streams, 12);
    assert_eq!(config.assertion.audience, "0123");
    assert_eq!(config.help_desk.english, "Call 0120");
    assert_eq!(config.process.workers, 1);
}

#[test]
fn a_bad_variable_is_a_mistake_under_its_own_name() {
    let site = Site::new();
    let bad = [
        ("SEKISHO_LISTENER__OTHER__ADDRESS", "127.0.0.1:1"),
        ("SEKISHO_TRUST", "x"),
        ("SEKISHO_LIMITS__MAX_STREAM", "1"),
        ("SEKISHO_LIMITS__MAX_STREAMS", "many"),
        ("SEKISHO_LIMITS__max_streams", "8"),
        ("SEKISHO_UPSTREAM__SERVERS", "http://127.0.0.1:1"),
        ("SEKISHO_ASSERTION__KEYS__0__FILE", "x"),
        ("SEKISHO_ACCESS_LOG__FILE", "x"),
        ("SEKISHO_COLOUR", "red"),
        ("SEKISHO_", "x"),
    ];
    assert_eq!(
        site.told(site.load(&["config.toml"], &bad)),
        [
            "SEKISHO_: names no setting",
            "SEKISHO_ACCESS_LOG__FILE: access-log: not supported yet",
            "SEKISHO_ASSERTION__KEYS__0__FILE: assertion.keys: is a list, which a variable cannot set",
            "SEKISHO_COLOUR: colour: unknown key",
            "SEKISHO_LIMITS__MAX_STREAM: limits.max-stream: unknown key; did you mean max-streams?",
            "SEKISHO_LIMITS__max_streams: means the same as SEKISHO_LIMITS__MAX_STREAMS, which is set too",
            "SEKISHO_LISTENER__OTHER__ADDRESS: listener.other: no listener of this name stands in the files",
            "SEKISHO_TRUST: trust: is \"x\", but must be a table, [trust]",
            "SEKISHO_UPSTREAM__SERVERS: upstream.servers: is a list, which a variable cannot set",
        ]
    );
    assert_eq!(
        site.told(site.load(&["config.toml"], &[("SEKISHO_LIMITS__MAX_STREAMS", "many")])),
        ["SEKISHO_LIMITS__MAX_STREAMS: limits.max-streams: is \"many\", but must be a whole number from 1 to 10000"]
    );
}

#[test]
fn a_table_whose_kind_changes_is_replaced_whole() {
    let site = Site::new();
    site.file("base.toml", "[store]\nkind = \"embedded\"\npath = \"a\"\n[trust]\ncrl-grace = \"1s\"\n");
    site.file("same.toml", "[store]\nkind = \"embedded\"\nsize = \"b\"\n");
    site.file("other.toml", "[store]\nkind = \"redis\"\nurl = \"c\"\n");
    let keys = |files: &[&str]| {
        let files = files.iter().map(|name| site.path(name)).collect();
        let layers = Layers::read(files, [], &Report::default()).expect("the layers are TOML");
        assert!(layers.values.contains_key("trust"));
        layers.values["store"].as_dict().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&["base.toml", "same.toml"]), ["kind", "path", "size"]);
    assert_eq!(keys(&["base.toml", "same.toml", "other.toml"]), ["kind", "url"]);
}

#[test]
fn files_that_cannot_be_read_are_mistakes() {
    let site = Site::new();
    site.file("broken.toml", "workers = 1\nworkers = 2\n[trust\n");
    site.file("empty.toml", "");
    std::fs::write(site.path("binary.toml"), [0xff, 0xfe]).unwrap();
    let told = site.told(site.load(&["missing.toml", "broken.toml", "empty.toml", "binary.toml", "certs"], &[]));
    assert_eq!(told[0], "missing.toml: does not exist");
    assert_eq!(told[1], "broken.toml line 2: duplicate key");
    assert!(told[2].starts_with("broken.toml line 3: "), "{told:?}");
    assert_eq!(told[3], "empty.toml: is empty");
    assert_eq!(told[4], "binary.toml: is not UTF-8");
    assert_eq!(told[5], "certs: is not a file");
    assert_eq!(told.len(), 6);
}

#[test]
fn relative_paths_begin_at_the_first_file() {
    let site = Site::new();
    std::fs::create_dir(site.path("profiles")).unwrap();
    site.file("profiles/late.toml", "[trust]\ncrl = [\"certs/ca.crl\"]\n");
    let config = site.load(&["config.toml", "profiles/late.toml"], &[]).unwrap();
    assert_eq!(config.trust.crl_sources, [site.path("certs/ca.crl")]);
    assert!(SHIPPED.contains("crl = [\"certs/ca.crl\"]"));
}

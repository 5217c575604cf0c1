//! `[store]`: the shared one, what it must not be given, and what needs it.

use std::time::Duration;

use super::{SHIPPED, Site};
use crate::store::Settings;

/// The shipped configuration with another store.
pub(super) fn with_store(lines: &str) -> String {
    let (before, rest) = SHIPPED.split_once("[store]\n").unwrap();
    let (_, after) = rest.split_once("\n[").unwrap();
    format!("{before}[store]\n{lines}\n\n[{after}")
}

#[test]
fn a_shared_store_is_read_with_its_defaults() {
    let site = Site::new();
    site.secret("password", b"hunter2\n");
    let lines =
        "kind = \"redis\"\nurl = [\"redis://10.0.0.1:6379\", \"redis://10.0.0.2\"]\npassword-file = \"password\"";
    site.file("config.toml", &with_store(lines));
    let config = site.load(&["config.toml"], &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let Settings::Redis(settings) = config.store else { panic!("it is embedded") };
    assert_eq!(
        settings.servers.iter().map(|server| (&*server.host, server.port)).collect::<Vec<_>>(),
        [("10.0.0.1", 6379), ("10.0.0.2", 6379)]
    );
    assert!(settings.journal.ends_with("state/journal.redb"));
    assert_eq!((&*settings.prefix, settings.replicas, settings.retention_days), ("sekisho", 0, 400));
    assert_eq!(settings.response_timeout, Duration::from_millis(500));
    assert!(settings.password.is_some() && settings.ca.is_none());
}

#[test]
fn what_a_shared_store_must_not_be_given_is_told() {
    let site = Site::new();
    let cases = [
        ("", "store.url: is missing"),
        ("url = \"redis://:hunter2@host\"", "store.url: holds a name or a password"),
        ("url = \"rediss://host\"", "store.ca: is missing"),
        ("url = \"redis://host\"\nca = \"certs/ca.pem\"", "store.ca: needs rediss://"),
        ("url = [\"redis://a\", \"rediss://b\"]", "store.url: redis:// and rediss:// cannot"),
        ("url = \"redis://host\"\nusername = \"gateway\"", "store.username: needs password-file"),
        ("url = \"redis://host\"\npath = \"a\"", "store.path: unknown key"),
        ("url = \"redis://host\"\nprefix = \"a}b\"", "store.prefix: is \"a}b\""),
    ];
    for (lines, expected) in cases {
        site.file("config.toml", &with_store(&format!("kind = \"redis\"\n{lines}")));
        let told = site.told(site.load(&["config.toml"], &[]));
        assert!(told.len() == 1 && told[0].contains(expected) && !told[0].contains("hunter2"), "{lines}: {told:?}");
    }
}

#[test]
fn a_rate_limit_is_shared_only_where_there_is_a_shared_store() {
    let site = Site::new();
    let shared = "[[rate-limit]]\nname = \"per-customer\"\nshared = true\n";
    site.file("config.toml", SHIPPED);
    site.file("shared.toml", shared);
    let told = site.told(site.load(&["config.toml", "shared.toml"], &[]));
    let expected = "rate-limit.per-customer.shared: needs a [store] that gateways share";
    assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
    site.file("config.toml", &with_store("kind = \"redis\"\nurl = \"redis://10.0.0.1\""));
    let config = site.load(&["config.toml", "shared.toml"], &[]).unwrap();
    assert!(config.rate_limits[0].shared);
    assert!(!site.load(&["config.toml"], &[]).unwrap().rate_limits[0].shared);
}

/// Each gateway remembers its own; that is worth a word, and so is watching none.
#[test]
fn what_sessions_are_not_held_to_is_told() {
    let site = Site::new();
    let told = |text: &str| {
        site.file("config.toml", text);
        site.warned(&site.load(&["config.toml"], &[]).unwrap()).join("\n")
    };
    assert_eq!(told(SHIPPED), "");
    assert!(
        told(&with_store("kind = \"redis\"\nurl = \"redis://10.0.0.1\""))
            .contains("session.cookies: each gateway knows")
    );
    let off =
        SHIPPED.replace("cookies = [\"JSESSIONID\"]", "cookies = []").replace("url-parameters = [\"jsessionid\"]", "");
    assert!(told(&off).contains("session.cookies: no session is watched"));
    let (before, rest) = SHIPPED.split_once("[session]").unwrap();
    let (_, after) = rest.split_once("\n[transfer]\n").unwrap();
    assert!(told(&format!("{before}[transfer]\n{after}")).contains("session: no session is watched"));
}

//! `[transfer.alarms]`: off, on, and what nothing could raise.

use std::time::Duration;

use super::{SHIPPED, Site};
use crate::policy::alarms::{Action, Settings};

const LIMIT: &str = "[[route]]\nname = \"limit\"\nmethod = \"POST\"\npath = \"/ib/limit.do\"\nclass = \"limit-change\"\n\
                     amount = [\"limit\"]\nsuccess = { status = 302, location = \"/ib/done.do\" }\n";
const PAYEE: &str = "[[route]]\nname = \"transfer\"\npayee = \"payee\"\n";

fn told_with(layer: &str) -> Vec<String> {
    let site = Site::new();
    site.file("config.toml", SHIPPED);
    site.file("alarms.toml", layer);
    site.told(site.load(&["config.toml", "alarms.toml"], &[]))
}

#[test]
fn alarms_are_off_unless_each_is_named() {
    let site = Site::new();
    site.file("config.toml", SHIPPED);
    let alarms = |config: crate::config::Config| config.transfer.unwrap().alarms;
    assert_eq!(alarms(site.load(&["config.toml"], &[]).unwrap()), Settings::default());
    let all =
        "[transfer.alarms]\nnew-certificate = \"72h\"\nmany-payees = 20\nraised-limit = \"24h\"\naction = \"refuse\"\n";
    site.file("alarms.toml", &format!("{all}{PAYEE}{LIMIT}"));
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
    let expected =
        Settings { new_certificate: hours(72), many_payees: Some(20), raised_limit: hours(24), action: Action::Refuse };
    assert_eq!(alarms(site.load(&["config.toml", "alarms.toml"], &[]).unwrap()), expected);
}

#[test]
fn an_alarm_that_nothing_can_raise_is_a_mistake() {
    let cases = [
        (
            "[transfer.alarms]\nmany-payees = 20\n",
            "transfer.alarms.many-payees: needs a counted route that names its payee",
        ),
        (
            "[transfer.alarms]\nraised-limit = \"24h\"\n",
            "transfer.alarms.raised-limit: needs a route of the class \"limit-change\"",
        ),
        ("[transfer.alarms]\nmany-payees = 101\n", "transfer.alarms.many-payees: is the number 101, but must be"),
        ("[transfer.alarms]\nnew-certificate = \"1s\"\n", "transfer.alarms.new-certificate: \"1s\" is not within"),
        (
            "[transfer.alarms]\naction = \"hold\"\n",
            "transfer.alarms.action: is \"hold\", but must be \"record\" or \"refuse\"",
        ),
        ("[[route]]\nname = \"transfer-done\"\npayee = \"payee\"\n", "route.transfer-done.payee: means nothing here"),
        ("[[route]]\nname = \"transfer\"\npayee = \"amount\"\n", "\"amount\" is declared twice"),
    ];
    for (layer, expected) in cases {
        let told = told_with(layer);
        assert!(told.iter().any(|mistake| mistake.contains(expected)), "{layer}: {told:?}");
    }
}

//! `[transfer] limit-screen`: a path of the application that customers can come to.

use super::{SHIPPED, Site};
use crate::refusal::LocalLink;

const TOP: &str = "[[route]]\nname = \"menu\"\npath = \"/ib/menu.do\"\nclass = \"top\"\n";

fn site_with(layer: &str) -> Site {
    let site = Site::new();
    site.file("config.toml", SHIPPED);
    site.file("screen.toml", layer);
    site
}

fn screen(value: &str) -> String {
    format!("[transfer]\nlimit-screen = {value:?}\n{TOP}")
}

#[test]
fn the_limit_screen_is_a_path_of_the_application_and_none_unless_named() {
    let site = site_with(&screen("/ib/limit/edit.do"));
    let known = |files: &[&str]| site.load(files, &[]).unwrap().transfer.unwrap().limit_screen;
    assert_eq!(known(&["config.toml"]), None);
    assert_eq!(known(&["config.toml", "screen.toml"]), LocalLink::of("/ib/limit/edit.do"));
}

#[test]
fn what_is_no_canonical_path_of_this_host_is_a_mistake() {
    for other in [
        "",
        "ib/limit.do",
        "https://bank.example/ib/limit.do",
        "//bank.example/ib/limit.do",
        "/ib//limit.do",
        "/ib/./limit.do",
        "/ib/limit.do?a=1",
        "/ib/limit.do#a",
        "/ib/limit.do;a=1",
        "/ib/limit do",
        "/ib/%6cimit.do",
        "javascript:alert(1)",
    ] {
        let site = site_with(&screen(other));
        let told = site.told(site.load(&["config.toml", "screen.toml"], &[]));
        assert!(told.iter().any(|mistake| mistake.contains("transfer.limit-screen: ")), "{other}: {told:?}");
    }
}

/// Below a guarded path, also beside the form that changes the limit, only what is a route is shown.
#[test]
fn a_limit_screen_that_would_be_refused_is_a_mistake() {
    let change = "[[route]]\nname = \"change\"\nmethod = \"POST\"\npath = \"/ib/limit.do\"\nclass = \"limit-change\"\n\
                  amount = [\"limit\"]\nsuccess = { status = 302, location = \"/ib/done.do\" }\n";
    let shown = "[[route]]\nname = \"edit\"\nmethod = \"GET\"\npath = \"/ib/limit.do\"\nclass = \"other\"\n";
    let below = screen("/ib/transfer/limit.do");
    let beside = screen("/ib/limit.do");
    for (layer, is_mistake) in [
        (below, true),
        (beside.clone(), false),
        (format!("{beside}{change}"), true),
        (format!("{beside}{change}{shown}"), false),
    ] {
        let site = site_with(&layer);
        let loaded = site.load(&["config.toml", "screen.toml"], &[]);
        assert_eq!(loaded.is_err(), is_mistake, "{layer}");
        if is_mistake {
            let told = site.told(loaded);
            let expected = "lies on a guarded path, and no route takes GET there";
            assert!(told.iter().any(|mistake| mistake.contains(expected)), "{told:?}");
        }
    }
}

#[test]
fn a_limit_screen_without_a_first_page_deserves_a_second_look() {
    let warned = |layer: &str| {
        let warnings = site_with(layer).load(&["config.toml", "screen.toml"], &[]).unwrap().warnings;
        warnings.iter().any(|warning| warning.contains("transfer.limit-screen") && warning.contains("\"top\""))
    };
    assert!(!warned(&screen("/ib/limit.do")));
    assert!(warned("[transfer]\nlimit-screen = \"/ib/limit.do\"\n"));
}

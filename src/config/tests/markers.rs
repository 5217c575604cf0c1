//! Markers of failure: what frees money is evidence, and what is evidence is accepted.

use super::*;

const FAILURE: &str = "failure = { status = 200, contains = \"<p>BTRE900</p>\" }";
const SUCCESS: &str = "success = { status = 302, location = \"/ib/transfer/done.do\" }";

#[test]
fn a_failure_that_says_so_is_good() {
    let site = Site::new();
    for failure in [
        "{ status = 404 }",
        "{ status = 302, location = \"/ib/transfer/error.do\" }",
        "[{ status = 200, contains = \"<b>E9</b>円\" }, { status = 400 }]",
        "{ status = 200, contains = \"<div class='error'>\" }",
    ] {
        site.load_with(FAILURE, &format!("failure = {failure}")).unwrap();
    }
}

/// What is both is unknown.
#[test]
fn a_failure_differs_from_the_success() {
    let site = Site::new();
    for (success, failure, expected) in [
        ("{ status = 404, contains = \"<p>DONE</p>\" }", "{ status = 404 }", "every success would be a failure too"),
        (
            "{ contains = \"<p>DONE</p> <p>BTRE900</p>\", status = 200 }",
            "{ status = 200, contains = \"<p>DONE</p>\" }",
            "every success would be a failure too",
        ),
        ("{ status = 302 }", "{ status = 302, location = \"/ib/error.do\" }", "every failure would be a success too"),
    ] {
        let markers = format!("success = {success}\nfailure = {failure}");
        let told = site.told(site.load_with(&format!("{SUCCESS}\n{FAILURE}"), &markers));
        let expected = format!("route.transfer.failure.status: does not tell it from success: {expected}");
        assert!(told.len() == 1 && told[0].contains(&expected), "{told:#?}");
    }
}

/// A wrong password moves nothing.
#[test]
fn a_route_that_moves_no_money_may_leave_the_status_out() {
    let site = Site::new();
    let login = "[[route]]\nname = \"sign-on\"\npath = \"/ib/sign-on.do\"\nclass = \"login\"\n\
                 failure = { contains = \"<p>BLGI900</p>\" }\n";
    site.load_with("[help-desk]", &format!("{login}[help-desk]")).unwrap();
}

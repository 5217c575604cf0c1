//! Which revocation lists are believed: TLS-06, TLS-16, A16.

use jiff::{SignedDuration, Timestamp};

use crate::support::crl::RevocationList;
use crate::support::der;
use crate::support::pki::{Authority, Key, days};
use crate::support::{KeyKind, Pki, TestGateway};

/// Everything that is not a whole, fresh, well-signed list of our authority is rejected, and the last good one stays.
#[tokio::test]
async fn a_bad_list_changes_nothing_but_a_metric() {
    let gateway = TestGateway::spawn().await;
    let issuing = &gateway.pki.issuing;
    let (hanako, taro) = (issuing.customer("hanakodt"), issuing.customer("tarokodt"));
    gateway.publish(issuing.list().number(10).revoking(&hanako).pem(), "ok").await;
    let list = || issuing.list().number(11).revoking(&taro);
    let elsewhere = Authority::root("Elsewhere", KeyKind::P256);
    let flag = |tag: u8| der::tlv(tag, &[0xff]);
    let point = der::tlv(0xa0, &der::tlv(0xa0, &der::tlv(0x86, b"http://crl.example/1.crl")));
    let whole = list().der();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("of another key", list().signed_by(&Key::generate(KeyKind::P256)).der()),
        ("of another issuer", elsewhere.list().number(11).der()),
        ("a delta", list().extension(der::extension("2.5.29.27", true, &der::integer(10))).der()),
        ("indirect", list().scoped(flag(0x84)).der()),
        ("only user certificates", list().scoped(flag(0x81)).der()),
        ("only authorities", list().scoped(flag(0x82)).der()),
        ("only attribute certificates", list().scoped(flag(0x85)).der()),
        ("only some reasons", list().scoped(der::tlv(0x83, &[6, 0x40])).der()),
        ("partitioned", list().scoped(point).der()),
        ("an unknown critical extension", list().extension(der::extension("1.2.3.4", true, &[5, 0])).der()),
        ("of the future", list().this_update(days(1)).next_update(days(9)).der()),
        ("no next update", list().without_next_update().der()),
        ("expired already", list().this_update(days(-9)).next_update(days(-1)).der()),
        ("truncated", whole[..whole.len() - 5].to_vec()),
        ("with a tail", [whole.as_slice(), b"\0"].concat()),
        ("a flipped bit", flipped(&whole)),
        ("a certificate", issuing.pem().into_bytes()),
        ("empty", Vec::new()),
        ("text", b"no list at all\n".to_vec()),
        ("an older number", issuing.list().number(9).this_update(Timestamp::now()).der()),
        ("no number", issuing.list().without_number().this_update(Timestamp::now()).der()),
    ];
    for (what, content) in table {
        println!("{what}");
        let good = gateway.operator.metric("sekisho_crl_loads_total", &[("result", "ok")]).await;
        gateway.publish(content, "rejected").await;
        let accepted = gateway.operator.metric("sekisho_crl_loads_total", &[("result", "ok")]).await - good;
        assert_eq!(accepted, 0.0, "{what}");
        gateway.assert_served(&gateway.customer(&taro)).await;
    }
    gateway.assert_refused(&gateway.customer(&hanako), "revoked").await;
    gateway.publish(list().revoking(&hanako).pem(), "ok").await;
    gateway.assert_refused(&gateway.customer(&taro), "revoked").await;
}

fn flipped(list: &[u8]) -> Vec<u8> {
    let mut list = list.to_vec();
    let middle = list.len() / 2;
    list[middle] ^= 1;
    list
}

/// Whoever can write the file puts an old list back.
#[tokio::test]
async fn a_list_cannot_be_rolled_back() {
    let gateway = TestGateway::spawn().await;
    let hanako = gateway.pki.issuing.customer("hanakodt");
    let first = gateway.pki.issuing.list();
    gateway.publish(gateway.pki.issuing.list().number(2).revoking(&hanako).pem(), "ok").await;
    gateway.publish(first.pem(), "rejected").await;
    gateway.assert_refused(&gateway.customer(&hanako), "revoked").await;
    let earlier = gateway.pki.issuing.list().number(3).this_update(days(-3));
    gateway.publish(earlier.pem(), "rejected").await;
    gateway.assert_refused(&gateway.customer(&hanako), "revoked").await;
    gateway.assert_backend_untouched();
}

/// The last accepted number, date and list survive a restart.
#[tokio::test]
async fn a_restart_does_not_forget_the_last_list() {
    let first = TestGateway::spawn().await;
    let hanako = first.pki.issuing.customer("hanakodt");
    let old = first.pki.issuing.list();
    first.publish(first.pki.issuing.list().number(2).revoking(&hanako).pem(), "ok").await;
    let restart = TestGateway::builder().after(&first).list(old.pem());
    first.drain().await;

    match restart.try_spawn().await {
        Err(mistake) => println!("does not start: {mistake}"),
        Ok(second) => {
            second.assert_refused(&second.customer(&hanako), "revoked").await;
            second.assert_backend_untouched();
        }
    }
}

/// The bank configured the root alone; the list of the authority below it is remembered as well.
#[tokio::test]
async fn a_restart_does_not_forget_the_list_of_an_intermediate_either() {
    let root = Authority::root("ANSER Root", KeyKind::P256);
    let issuing = root.subordinate("ANSER Issuing", KeyKind::P256);
    let hanako = issuing.certificate().sent_with(&issuing).issue();
    let before = root.list().pem() + &issuing.list().pem();
    let after = root.list().pem() + &issuing.list().number(2).revoking(&hanako).pem();
    let first = TestGateway::builder().authorities(&[&root]).list(after).spawn().await;
    first.assert_refused(&first.customer(&hanako), "revoked").await;

    first.write("certs/ca.crl", &before);
    first.operator.wait_for("sekisho_crl_loads_total", &[("result", "rejected")], 1.0).await;
    first.assert_refused(&first.customer(&hanako), "revoked").await;
    let restart = TestGateway::builder().after(&first).authorities(&[&root]).list(before);
    first.drain().await;
    let Ok(second) = restart.try_spawn().await else { return };
    second.customer(&hanako).expect_refusal().await;
    second.assert_backend_untouched();
}

/// Nobody has checked an intermediate's list until its customers come; a forged one must not displace the good one.
#[tokio::test]
async fn a_forged_list_of_an_intermediate_displaces_nothing() {
    let root = Authority::root("ANSER Root", KeyKind::P256);
    let issuing = root.subordinate("ANSER Issuing", KeyKind::P256);
    let request = || issuing.certificate().sent_with(&issuing);
    let (hanako, taro) = (request().issue(), request().login_id("tarokodt").issue());
    let good = issuing.list().number(2).revoking(&hanako);
    let forged = issuing.list().number(99).signed_by(&Key::generate(KeyKind::P256));
    let lists = root.list().pem() + &good.pem();
    let gateway = TestGateway::builder().authorities(&[&root]).list(lists.clone()).spawn().await;
    gateway.assert_refused(&gateway.customer(&hanako), "revoked").await;
    gateway.assert_served(&gateway.customer(&taro)).await;

    // The root's own list moves on in the same file, so that it can be seen when the file has been read.
    let moved = root.list().number(2).pem();
    for (number, content) in [forged.pem(), good.pem() + &forged.pem(), forged.pem() + &good.pem()].iter().enumerate() {
        println!("file {number}");
        gateway.write("certs/ca.crl", moved.clone() + content);
        crate::support::settled(|| std::fs::metadata(gateway.path("certs/ca.crl")).unwrap().len()).await;
        gateway.customer(&hanako).expect_refusal().await;
        gateway.assert_served(&gateway.customer(&taro)).await;
    }
}

/// webpki takes the first list of an issuer it meets; we take the newest, wherever it stands.
#[tokio::test]
async fn of_two_lists_of_one_issuer_the_newer_counts() {
    let pki = Pki::fresh();
    let hanako = pki.issuing.customer("hanakodt");
    let stale = pki.issuing.list().this_update(days(-9)).next_update(days(-1));
    let older = pki.issuing.list().number(2).this_update(days(-2));
    let newer = pki.issuing.list().number(3).revoking(&hanako);
    let orders: [[&RevocationList; 3]; 3] =
        [[&stale, &older, &newer], [&newer, &stale, &older], [&older, &newer, &stale]];
    for order in orders {
        let content: String = order.iter().map(|list| list.pem()).collect();
        let gateway = TestGateway::builder().pki(&pki).list(content).spawn().await;
        gateway.assert_refused(&gateway.customer(&hanako), "revoked").await;
        gateway.assert_served(&gateway.enrol("tarokodt")).await;
    }
}

#[tokio::test]
async fn lists_are_read_from_directories_too() {
    let pki = Pki::fresh();
    let hanako = pki.issuing.customer("hanakodt");
    let builder = TestGateway::builder().pki(&pki).layer("[trust]\ncrl = [\"lists\"]");
    let gateway = builder.file("lists/one.crl", pki.issuing.list().der()).spawn().await;
    gateway.assert_served(&gateway.customer(&hanako)).await;
    gateway.write("lists/two.crl", pki.issuing.list().number(2).revoking(&hanako).pem());
    crate::support::eventually("the new file's list", || refused(&gateway, &hanako), |refused| *refused).await;
}

async fn refused(gateway: &TestGateway, identity: &crate::support::pki::Identity) -> bool {
    gateway.customer(identity).try_get("/ib/menu.do").await.is_err()
}

#[tokio::test]
async fn an_expired_list_at_the_start_runs_and_refuses() {
    let pki = Pki::fresh();
    let stale = pki.issuing.list().this_update(days(-9)).next_update(days(-1));
    let gateway = TestGateway::builder().pki(&pki).list(stale.pem()).spawn().await;
    gateway.assert_refused(&gateway.enrol("hanakodt"), "crl_stale").await;
    gateway.assert_backend_untouched();
    assert_eq!(gateway.operator.get("/health/ready").await.status, 503);
}

#[tokio::test]
async fn a_missing_list_at_the_start_is_a_mistake() {
    let pki = Pki::fresh();
    let root = Authority::root("ANSER Root", KeyKind::P256);
    let foreign = Authority::root("Elsewhere", KeyKind::P256).list();
    let future = pki.issuing.list().this_update(Timestamp::now() + SignedDuration::from_hours(5));
    let forged = pki.issuing.list().signed_by(&root.key);
    let table = [
        ("empty", Vec::new()),
        ("foreign", foreign.der()),
        ("of the future", future.der()),
        ("forged", forged.der()),
        ("text", b"x".to_vec()),
    ];
    for (what, content) in table {
        assert!(TestGateway::builder().pki(&pki).list(content).try_spawn().await.is_err(), "{what}");
    }
    let absent = TestGateway::builder().pki(&pki).layer("[trust]\ncrl = [\"certs/absent.crl\"]");
    assert!(absent.try_spawn().await.is_err());
    let none = TestGateway::builder().pki(&pki).layer("[trust]\ncrl = []");
    assert!(none.try_spawn().await.is_err());
    let one_of_two = TestGateway::builder().pki(&pki).authorities(&[&pki.issuing, &root]);
    assert!(one_of_two.list(pki.issuing.list().pem()).try_spawn().await.is_err());
}

/// What changes while the gateway starts, or right after, must not be taken for what was read.
#[tokio::test]
async fn a_list_that_comes_right_after_the_start_is_noticed() {
    let gateway = TestGateway::spawn().await;
    let hanako = gateway.pki.issuing.customer("hanakodt");
    gateway.write("certs/ca.crl", gateway.pki.issuing.list().number(2).revoking(&hanako).pem());
    crate::support::eventually("the new list", || refused(&gateway, &hanako), |refused| *refused).await;
}

/// A list that vanishes is not a list that lets everybody in.
#[tokio::test]
async fn a_deleted_list_keeps_the_last_good_one() {
    let gateway = TestGateway::spawn().await;
    let hanako = gateway.pki.issuing.customer("hanakodt");
    gateway.publish(gateway.pki.issuing.list().number(2).revoking(&hanako).pem(), "ok").await;
    std::fs::remove_file(gateway.path("certs/ca.crl")).unwrap();
    gateway.operator.wait_for("sekisho_crl_loads_total", &[("result", "rejected")], 1.0).await;
    gateway.assert_refused(&gateway.customer(&hanako), "revoked").await;
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

#[tokio::test]
async fn metrics_tell_a_lists_size_and_end() {
    let gateway = TestGateway::spawn().await;
    let list = gateway.pki.issuing.list().number(2).revoking_serial(1).revoking_serial(2).revoking_serial(3);
    let end = days(3);
    gateway.publish(list.next_update(end).pem(), "ok").await;
    assert_eq!(gateway.operator.metric("sekisho_crl_entries", &[]).await, 3.0);
    let told = gateway.operator.metric("sekisho_crl_next_update_timestamp_seconds", &[]).await;
    assert_eq!(told, end.as_second() as f64);
}

//! Which login IDs are one customer: one limit, one rate, one block (LIM-05, LIM-36, BND-09, A31).

use serde_json::{Value, json};

use crate::assertion::claims as claims_of;
use crate::support::desk::ask;
use crate::support::registry::{ENFORCE, SECOND, add_contract, order, payers, put, register};
use crate::support::{Customer, MoneyStory, Said, TestGateway, within};

#[tokio::test]
async fn the_application_is_told_contract_and_role_as_they_are_now() {
    let gateway = TestGateway::builder().layer(ENFORCE).spawn().await;
    let hanako = gateway.pki.issuing.customer("hanakodt");
    register(&gateway, &hanako).await;
    let mut connection = gateway.customer(&hanako).connect().await;
    let mut told = async || {
        assert_eq!(connection.get("/ib/menu.do").await.status, 200);
        let request = gateway.backend.last();
        let claims = claims_of(&request.header("X-Login-Assertion").unwrap());
        (claims["sub"].clone(), claims["contract"].clone(), claims["role"].clone())
    };
    assert_eq!(told().await, ("hanakodt".into(), Value::Null, Value::Null));
    add_contract(&gateway, "tanaka", &["hanakodt"]).await;
    assert_eq!(told().await, ("hanakodt".into(), "tanaka".into(), "general".into()));
    put(&gateway, "tanaka", "hanakodt", "administrator").await;
    assert_eq!(told().await, ("hanakodt".into(), "tanaka".into(), "administrator".into()));
}

/// A31: a company has one limit, however many login IDs it has.
#[tokio::test]
async fn a_company_that_splits_a_transfer_over_its_login_ids_is_stopped_at_the_ceiling() {
    let story = MoneyStory::with(ENFORCE).await;
    add_contract(&story.gateway, "tanaka", &["tanaka01", "tanaka02", "tanaka03"]).await;
    add_contract(&story.gateway, "ito", &["itokodt1"]).await;
    for id in ["tanaka01", "tanaka02", "tanaka03"] {
        story.bank.set_contract(id, "tanaka");
    }
    let [mut first, mut second, mut third, mut ito] =
        payers(&story, ["tanaka01", "tanaka02", "tanaka03", "itokodt1"]).await;
    assert_eq!(first.transfer(60_000_000).await, Said::done());
    assert_eq!(second.transfer(40_000_000).await, Said::done());
    assert_eq!(third.transfer(1).await, Said::refused(403, "over_ceiling"));
    assert_eq!(third.counted().await, 100_000_000);
    assert_eq!(ito.transfer(100_000_000).await, Said::done());
    assert_eq!(story.executed_today("tanaka"), 100_000_000);
    let log = story.close().await;
    let moved = log.iter().filter(|record| record["event.action"] == "transfer");
    assert!(moved.clone().count() > 0);
    for record in moved.filter(|record| record["user.id"] != "itokodt1") {
        assert_eq!(record["sekisho.contract"], "tanaka");
    }
}

/// The last yen of a company, from three PCs at once.
#[tokio::test]
async fn login_ids_of_one_company_that_race_for_the_last_yen_share_one_limit() {
    let story = MoneyStory::with(ENFORCE).await;
    let ids = ["tanaka01", "tanaka02", "tanaka03"];
    add_contract(&story.gateway, "tanaka", &ids).await;
    ids.iter().for_each(|id| story.bank.set_contract(id, "tanaka"));
    let mut payers = payers(&story, ids).await;
    assert_eq!(payers[0].transfer(99_999_999).await, Said::done());
    let races: Vec<_> = payers
        .into_iter()
        .map(|mut payer| {
            tokio::spawn(async move {
                let said = payer.transfer(1).await;
                (payer, said)
            })
        })
        .collect();
    let mut done = 0;
    for race in races {
        done += usize::from(race.await.unwrap().1 == Said::done());
    }
    assert_eq!((done, story.executed_today("tanaka")), (1, 100_000_000));
    story.close().await;
}

/// LIM-36, BND-09: what nobody knows whose it would be is not moved.
#[tokio::test]
async fn a_login_id_of_no_contract_reads_and_moves_nothing() {
    let bulk = "[[route]]\nname = \"bulk\"\nmethod = \"POST\"\npath = \"/ib/bulk/commit.do\"\nclass = \"bulk\"\n";
    let story = MoneyStory::plan().layer(ENFORCE).layer(bulk).open().await;
    let [mut hanako] = payers(&story, ["hanakodt"]).await;
    assert_eq!(hanako.transfer(1).await, Said::refused(403, "contract_unknown"));
    // What counts against no ceiling is money all the same.
    assert_eq!(hanako.submit("/ib/bulk/commit.do", "fileId=1").await, Said::refused(403, "contract_unknown"));
    assert_eq!(story.executed(), Vec::<i128>::new());
    assert_eq!(hanako.ask("GET", "/ib/menu.do", &[], b"").await.status, 200);
    add_contract(&story.gateway, "tanaka", &["hanakodt"]).await;
    assert_eq!(hanako.transfer(1).await, Said::done());
    order(&story.gateway, "/login-ids/hanakodt/remove", json!({})).await;
    assert_eq!(hanako.transfer(1).await, Said::refused(403, "contract_unknown"));
    assert_eq!(story.executed(), [1]);
    story.close().await;
}

/// LIM-36: what was counted before stays counted, whoever belongs to whom from now on.
#[tokio::test]
async fn switching_the_registry_on_or_moving_a_login_id_frees_nothing_today() {
    let mut story = MoneyStory::begin().await;
    let ids = ["tanaka01", "tanaka02", "itokodt1"];
    let mut before = ids.map(|id| story.payer(id));
    assert_eq!(before[0].transfer(60_000_000).await, Said::done());
    assert_eq!(before[1].transfer(30_000_000).await, Said::done());
    story = story.restart_with(ENFORCE).await;
    add_contract(&story.gateway, "tanaka", &ids[..2]).await;
    add_contract(&story.gateway, "ito", &ids[2..]).await;
    let [mut first, mut second, mut ito] = payers(&story, ids).await;
    assert_eq!(first.transfer(10_000_001).await, Said::refused(403, "over_ceiling"));
    // Who moves takes along what was moved today, and leaves it behind as well.
    put(&story.gateway, "ito", "tanaka01", "general").await;
    assert_eq!(second.transfer(10_000_001).await, Said::refused(403, "over_ceiling"));
    assert_eq!(ito.transfer(40_000_001).await, Said::refused(403, "over_ceiling"));
    assert_eq!(second.transfer(10_000_000).await, Said::done());
    // What began before midnight may end after it: a day more in both, and then in the new contract alone.
    let later = story.today().plus_days(2);
    story.set_time(later, "12:00:00");
    assert_eq!(first.transfer(100_000_000).await, Said::done());
    assert_eq!(second.transfer(100_000_000).await, Said::done());
    assert_eq!(ito.transfer(1).await, Said::refused(403, "over_ceiling"));
    story.close().await;
}

#[tokio::test]
async fn a_blocked_contract_is_shut_out_with_all_its_login_ids() {
    let gateway = TestGateway::builder().layer(ENFORCE).spawn().await;
    add_contract(&gateway, "tanaka", &["tanaka01", "tanaka02"]).await;
    let [first, second, third, ito] =
        ["tanaka01", "tanaka02", "tanaka03", "itokodt1"].map(|id| gateway.pki.issuing.customer(id));
    for identity in [&first, &second, &third, &ito] {
        register(&gateway, identity).await;
    }
    let mut open = gateway.customer(&first).connect().await;
    let mut other = gateway.customer(&ito).connect().await;
    gateway.assert_served_on(&mut open).await;
    gateway.assert_served_on(&mut other).await;
    gateway.assert_served(&gateway.customer(&third)).await;

    order(&gateway, "/certificates/blocks", json!({ "contract": "tanaka" })).await;

    within(SECOND, "the end of the connection", open.rest()).await;
    gateway.assert_refused(&gateway.customer(&second), "blocked").await;
    // One that comes to the contract later is shut out with it (ENR-08).
    put(&gateway, "tanaka", "tanaka03", "general").await;
    gateway.assert_refused(&gateway.customer(&third), "blocked").await;
    gateway.assert_served_on(&mut other).await;
    order(&gateway, "/certificates/blocks/lift", json!({ "contract": "tanaka" })).await;
    gateway.assert_served(&gateway.customer(&second)).await;
}

#[tokio::test]
async fn a_rate_by_contract_is_shared_by_its_login_ids() {
    let limit =
        "[[rate-limit]]\nname = \"per-customer\"\nkey = \"contract\"\nrate = \"1/h\"\nburst = 2\nroutes = [\"*\"]\n";
    let gateway = TestGateway::builder().layer(ENFORCE).layer(limit).spawn().await;
    add_contract(&gateway, "tanaka", &["tanaka01", "tanaka02"]).await;
    let identities = ["tanaka01", "tanaka02", "itokodt1"].map(|id| gateway.pki.issuing.customer(id));
    for identity in &identities {
        register(&gateway, identity).await;
    }
    let [first, second, ito] = identities.each_ref().map(|identity| gateway.customer(identity));
    let status = async |customer: &Customer| customer.get("/ib/menu.do").await.status;
    assert_eq!((status(&first).await, status(&second).await), (200, 200));
    assert_eq!((status(&first).await, status(&second).await), (429, 429));
    assert_eq!(status(&ito).await, 200);
}

/// LIM-28: what operators see and add is the company's, not one login ID's.
#[tokio::test]
async fn operators_see_a_company_as_a_whole() {
    let story = MoneyStory::with(ENFORCE).await;
    add_contract(&story.gateway, "tanaka", &["tanaka01", "tanaka02"]).await;
    let [mut first, mut second] = payers(&story, ["tanaka01", "tanaka02"]).await;
    assert_eq!(first.transfer(10_000_000).await, Said::done());
    assert_eq!(second.transfer(20_000_000).await, Said::done());
    let target = "/ledger/contracts/tanaka/transfers";
    let added = order(&story.gateway, target, json!({ "yen": 30_000_000, "day": null })).await;
    assert_eq!(added["sums"][0]["used"], 60_000_000, "{added}");
    let add = json!({ "yen": 1, "day": null, "login_id": "tanaka02", "reason": "slip 0815", "operator": "hana" });
    assert_eq!(ask(&story.gateway, "POST", target, &add.to_string()).await.status, 200);
    let shown = ask(&story.gateway, "GET", "/ledger/contracts/tanaka", "").await.json();
    assert_eq!(shown["transfers"].as_array().unwrap().len(), 4);
    let used: Vec<_> = shown["used"].as_array().unwrap().iter().map(|used| (&used["login_id"], &used["yen"])).collect();
    assert_eq!(used, [(&json!("tanaka01"), &json!(40_000_000)), (&json!("tanaka02"), &json!(20_000_001))]);
    assert_eq!(second.counted().await, 60_000_001);
    for (login_id, contract, status) in [("stranger", "tanaka", 409), ("tanaka01", "suzuki", 404)] {
        let order = add.to_string().replace("tanaka02", login_id);
        let target = target.replace("tanaka", contract);
        assert_eq!(ask(&story.gateway, "POST", &target, &order).await.status, status, "{contract}");
    }
    story.close().await;
}

/// TLS-17: what was decided for one contract is not done for another. The body ends after the move.
#[tokio::test]
async fn an_order_whose_customer_is_moved_on_its_way_is_not_executed() {
    let story = MoneyStory::with(ENFORCE).await;
    add_contract(&story.gateway, "tanaka", &["tanaka01"]).await;
    add_contract(&story.gateway, "ito", &[]).await;
    let identity = story.gateway.pki.issuing.customer("tanaka01");
    register(&story.gateway, &identity).await;
    let mut connection = story.gateway.customer(&identity).connect().await;
    let head = "POST /ib/transfer/commit.do HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\
                Accept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\namou";
    connection.send_raw(head.as_bytes()).await.unwrap();
    // The one worker has read the head when somebody who came later has been answered.
    let [mut other] = payers(&story, ["tanaka02"]).await;
    assert_eq!(other.ask("GET", "/ib/menu.do", &[], b"").await.status, 200);
    put(&story.gateway, "ito", "tanaka01", "general").await;
    connection.send_raw(b"nt=1").await.unwrap();
    let answer = connection.read("POST").await.unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("standing_unknown")));
    assert_eq!(story.executed(), Vec::<i128>::new());
    story.until_transfers("released", 1.0).await;
    story.close().await;
}

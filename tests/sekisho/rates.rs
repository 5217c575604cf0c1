//! What one customer may cost: requests, memory, attention (RTL-01, RTL-04, RTL-05, LIM-30, LIM-40, A45, A61).

use std::net::Ipv4Addr;

use sekisho::demo::bank::{Fault, Gate};

use crate::support::payer::FORM;
use crate::support::{COMMIT, MoneyStory, PATIENCE, Said, settled_series, within};

/// So slow that nothing is forgiven during a test.
const HOURLY: &str = "[[rate-limit]]\nname = \"per-customer\"\nrate = \"1/h\"\nburst = 3\n";

fn too_often() -> Said {
    Said::refused(429, "rate_limited")
}

#[tokio::test]
async fn a_customer_who_asks_too_often_is_told_when_to_come_again_and_the_bank_is_spared() {
    let story = MoneyStory::with(HOURLY).await;
    let mut hanako = story.payer("hanakodt");
    for _ in 0..3 {
        assert_eq!(hanako.transfer(1).await, Said::done());
    }
    // At another PC and in the other version of HTTP it is the same customer.
    for mut payer in story.payers("hanakodt") {
        let refused = payer.post(COMMIT, &[("Content-Type", FORM)], b"amount=1").await;
        assert_eq!(Said::of(&refused), too_often());
        let seconds: u32 = refused.header("Retry-After").unwrap().parse().unwrap();
        assert!((3_500..=3_600).contains(&seconds), "{seconds}");
        assert_eq!(payer.get("/ib/menu.do").await, too_often());
    }
    assert_eq!(story.payer("tarokodt").transfer(1).await, Said::done());
    assert_eq!(story.bank.received(), 4);
    let labels = [("limit", "per-customer")];
    assert_eq!(story.gateway.operator.metric("sekisho_rate_limited_total", &labels).await, 4.0);
    story.close().await;
}

/// A class of its own: who looks often can still pay, and who pays often can still look.
#[tokio::test]
async fn transfers_have_a_rate_of_their_own() {
    let layer = "[[rate-limit]]\nname = \"transfers\"\nkey = \"contract\"\nrate = \"1/h\"\nburst = 2\nroutes = [\"transfer\"]\nheaders = true\n";
    let story = MoneyStory::with(layer).await;
    let mut hanako = story.payer("hanakodt");
    for left in ["1", "0"] {
        assert_eq!(hanako.get("/ib/menu.do").await, Said::Screen("BPT001".into()));
        let answer = hanako.post(COMMIT, &[("Content-Type", FORM)], b"amount=1").await;
        assert_eq!(Said::of(&answer), Said::done());
        assert_eq!(answer.header("RateLimit").unwrap(), format!("\"transfers\";r={left}"));
    }
    // What is refused for its content has cost as much.
    assert_eq!(hanako.submit(COMMIT, "amount=-1").await, too_often());
    assert_eq!(hanako.transfer(1).await, too_often());
    assert_eq!(hanako.get("/ib/menu.do").await, Said::Screen("BPT001".into()));
    assert_eq!(story.executed(), [1, 1]);
    story.close().await;
}

/// A61: nobody dodges a limit, or uses up another's, by saying where he comes from.
#[tokio::test]
async fn an_address_is_what_was_seen_and_not_what_is_said() {
    let by_address =
        "[[rate-limit]]\nname = \"per-address\"\nkey = \"address\"\nrate = \"1/h\"\nburst = 3\nroutes = [\"*\"]\n";
    let listed = "[[listener]]\nname = \"certificate\"\nproxy-protocol-from = [\"127.0.0.0/8\"]\n";
    let story = MoneyStory::with(format!("{by_address}{listed}")).await;
    let from = |host: u8| story.customer("hanakodt").with_preamble(&preamble(Ipv4Addr::new(203, 0, 113, host)));
    let mut answers = Vec::new();
    for forged in ["198.51.100.1", "198.51.100.2", "203.0.113.8", "127.0.0.1"] {
        let headers = [
            ("X-Forwarded-For", forged),
            ("Forwarded", "for=198.51.100.9"),
            ("X-Real-IP", forged),
            ("True-Client-IP", forged),
            ("X-Client-IP", forged),
        ];
        answers.push(from(7).connect().await.request("GET", "/ib/menu.do", &headers, b"").await.status);
    }
    assert_eq!(answers, [200, 200, 200, 429]);
    // The one who was named has not paid for it.
    for _ in 0..3 {
        assert_eq!(from(8).get("/ib/menu.do").await.status, 200);
    }
    assert_eq!(from(8).get("/ib/menu.do").await.status, 429);
    story.close().await;
}

/// PROXY v2: the client is at this address.
fn preamble(client: Ipv4Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client.octets());
    header.extend(Ipv4Addr::new(192, 0, 2, 1).octets());
    header.extend([0x9c, 0x40, 0x01, 0xbb]);
    header
}

/// RTL-04 and A63: no number of customers, targets or amounts grows what is exported; and few buckets still limit.
#[tokio::test]
async fn customers_do_not_grow_the_metrics() {
    let story =
        MoneyStory::with("[[rate-limit]]\nname = \"per-customer\"\nrate = \"1/h\"\nburst = 3\nmax-keys = 2\n").await;
    let visit = async |number: u32| {
        let mut payer = story.payer(&format!("kigyo{number:03}"));
        assert_eq!(payer.transfer(u64::from(number)).await, Said::done());
        assert_eq!(payer.get(&format!("/ib/balance.do?account={number}")).await, Said::Screen("BPT001".into()));
    };
    visit(1).await;
    let before = settled_series(&story.gateway).await;
    for number in 2..30 {
        visit(number).await;
    }
    assert_eq!(settled_series(&story.gateway).await, before);
    let mut last = story.payer("kigyo100");
    for _ in 0..3 {
        assert_eq!(last.transfer(1).await, Said::done());
    }
    story.close().await;
}

/// LIM-40: bodies that are read in whole have bounded room, each customer's by itself; what waits gives it back.
#[tokio::test]
async fn half_sent_bodies_take_only_their_own_customers_room() {
    let story = MoneyStory::with("[limits]\nmax-inspected-bytes-per-login-id = \"4KiB\"\n").await;
    let hanako = story.customer("hanakodt");
    let head = format!(
        "POST {COMMIT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nContent-Length: 4000\r\n\r\namount=1"
    );
    let mut half = hanako.connect().await;
    half.send_raw(head.as_bytes()).await.unwrap();
    let busy = || async { story.payer("hanakodt").submit(COMMIT, &format!("amount=1&memo={}", "x".repeat(200))).await };
    let refused = Said::refused(503, "inspection_busy");
    crate::support::eventually("the half of a body has its room", busy, |said| *said == refused).await;
    assert_eq!(story.payer("tarokodt").transfer(5).await, Said::done());
    drop(half);
    crate::support::eventually("the room is given back", busy, |said| *said == Said::done()).await;
    let orders: Vec<i128> =
        story.bank.executed().iter().filter(|order| order.login_id == "tarokodt").map(|order| order.amount).collect();
    assert_eq!(orders, [5]);
    story.close().await;
}

/// The room of all customers together is bounded too.
#[tokio::test]
async fn half_sent_bodies_of_many_take_no_more_than_the_room_of_all() {
    let limits = "[limits]\nmax-inspected-bytes = \"8KiB\"\nmax-inspected-bytes-per-login-id = \"4KiB\"\n";
    let story = MoneyStory::with(limits).await;
    let head = format!(
        "POST {COMMIT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nContent-Length: 4000\r\n\r\namount=1"
    );
    let mut halves = Vec::new();
    for login_id in ["hanakodt", "tarokodt"] {
        let mut half = story.customer(login_id).connect().await;
        half.send_raw(head.as_bytes()).await.unwrap();
        halves.push(half);
    }
    let third =
        || async { story.payer("jirokodt").submit(COMMIT, &format!("amount=1&memo={}", "x".repeat(200))).await };
    let refused = Said::refused(503, "inspection_busy");
    crate::support::eventually("the halves have their room", third, |said| *said == refused).await;
    assert!(story.executed().is_empty());
    halves.pop();
    crate::support::eventually("there is room again", third, |said| *said == Said::done()).await;
    story.close().await;
}

/// A body that comes a byte at a time ends with its time, however lively it is.
#[tokio::test]
async fn a_body_that_never_ends_has_its_time() {
    let story = MoneyStory::with("[limits]\ninspection-timeout = \"1s\"\nbody-timeout = \"20s\"\n").await;
    let mut slow = story.customer("hanakodt").connect().await;
    let head =
        format!("POST {COMMIT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nContent-Length: 4000\r\n\r\n");
    slow.send_raw(head.as_bytes()).await.unwrap();
    let answer = within(PATIENCE, "an answer", slow.read("POST")).await.unwrap();
    assert_eq!(answer.status, 408);
    story.assert_bank_untouched();
    assert_eq!(story.payer("hanakodt").transfer(1).await, Said::done());
    story.close().await;
}

const BULK: &str = r#"
    [[route]]
    name = "bulk"
    method = "POST"
    path = "/ib/bulk/upload.do"
    class = "bulk"
    max-body = "1MiB"
"#;

/// A45: what is exempt from the ceiling is not exempt from every bound, and transfers go on beside it.
#[tokio::test]
async fn files_are_bounded_and_do_not_keep_transfers_waiting() {
    let story = MoneyStory::with(BULK).await;
    let typed = [("Content-Type", "multipart/form-data; boundary=b")];
    for mut payer in story.payers("hanakodt") {
        let announced = payer.post("/ib/bulk/upload.do", &typed, &vec![b'x'; (1 << 20) + 1]).await;
        assert_eq!(Said::of(&announced), Said::refused(413, "body_too_large"));
    }
    story.assert_bank_untouched();
    // Without an announced length, the bank must not take a part for the whole.
    let mut endless = story.customer("hanakodt").connect().await;
    let head = "POST /ib/bulk/upload.do HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n\
                Transfer-Encoding: chunked\r\n\r\n--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nyamada,5\r\n--b--\r\n";
    let (head, file) = head.split_once("\r\n\r\n").unwrap();
    endless.send_raw(format!("{head}\r\n\r\n{:x}\r\n{file}\r\n", file.len()).as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    // Meanwhile others pay.
    let mut taro = story.payer_over_http2("tarokodt");
    for _ in 0..17 {
        if endless.send_raw(&chunk).await.is_err() {
            break;
        }
        assert_eq!(taro.transfer(1).await, Said::done());
    }
    let refused = endless.read("POST").await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status == 413));
    assert!(story.bank.executed().iter().all(|order| order.login_id == "tarokodt"));

    // Uploads that the bank is slow with hold up no transfer.
    let gate = Gate::shut();
    story.bank.fail_next(Fault::HoldRequest(gate.clone()));
    let mut uploading = story.payer("hanakodt");
    let upload = tokio::spawn(async move {
        let file = b"--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nyamada,5\r\n\r\n--b--\r\n";
        Said::of(&uploading.post("/ib/bulk/upload.do", &typed, file).await)
    });
    gate.arrived(1).await;
    assert_eq!(story.payer("hanakodt").transfer(1).await, Said::done());
    gate.open();
    assert_eq!(within(PATIENCE, "the upload", upload).await.unwrap(), Said::To("/ib/bulk/done.do".into()));
    story.close().await;
}

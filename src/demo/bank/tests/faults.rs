//! Each fault as the client sees it, and what the books say then.

use super::*;

const COMMIT: &str = "/ib/transfer/commit.do";

#[tokio::test]
async fn a_bank_that_dies_before_reading_executes_nothing() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    bank.fail_next(Fault::DieBeforeReading);
    assert_eq!(customer.post(COMMIT, "amount=1").await.head, "");
    assert_eq!((bank.received(), amounts(&bank)), (0, vec![]));
    assert_eq!(customer.post(COMMIT, "amount=2").await.status(), "302", "the next one is served");

    let mut open = TcpStream::connect(bank.address()).await.unwrap();
    let request = String::from_utf8(customer.request("POST", COMMIT, "", b"amount=4")).unwrap();
    open.write_all(request.replace("Connection: close\r\n", "").as_bytes()).await.unwrap();
    bank.until_executed(2).await;
    bank.fail_always(Fault::DieBeforeReading);
    open.write_all(request.as_bytes()).await.unwrap();
    assert!(!String::from_utf8_lossy(&received(&mut open).await.body).contains("HTTP/1.1"), "one answer only");
    assert_eq!((bank.received(), amounts(&bank)), (2, vec![2, 4]), "also on an open connection");
}

#[tokio::test]
async fn a_bank_that_dies_before_answering_may_have_executed() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    bank.fail_next(Fault::Die(Execution::Done));
    bank.fail_next(Fault::Die(Execution::NotDone));
    assert_eq!(customer.post(COMMIT, "amount=1").await.head, "");
    assert_eq!(customer.post(COMMIT, "amount=2").await.head, "");
    assert_eq!((bank.received(), amounts(&bank)), (2, vec![1]));
}

#[tokio::test]
async fn a_request_that_is_held_is_executed_although_its_client_left() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    let gate = Gate::shut();
    bank.fail_next(Fault::HoldRequest(gate.clone()));
    let mut socket = TcpStream::connect(bank.address()).await.unwrap();
    socket.write_all(&customer.request("POST", COMMIT, "", b"amount=1")).await.unwrap();
    gate.arrived(1).await;
    assert_eq!(amounts(&bank), []);
    drop(socket);
    gate.open();
    bank.until_executed(1).await;
    assert_eq!(amounts(&bank), [1]);
}

#[tokio::test]
async fn a_gate_lets_through_as_many_as_it_is_told() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    let gate = Gate::shut();
    bank.fail_always(Fault::HoldRequest(gate.clone()));
    let (first, second, ()) =
        tokio::join!(customer.post(COMMIT, "amount=1"), customer.post(COMMIT, "amount=1"), async {
            gate.arrived(2).await;
            gate.admit(1);
            bank.until_executed(1).await;
            assert_eq!(amounts(&bank), [1]);
            gate.admit(1);
        });
    assert_eq!((first.status(), second.status()), ("302", "302"));
    bank.recover();
    assert_eq!(customer.post(COMMIT, "amount=2").await.status(), "302");
}

#[tokio::test]
async fn an_answer_that_is_held_comes_when_the_gate_opens() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    for fault in [Fault::HoldAnswer, Fault::HoldHalf] {
        let gate = Gate::shut();
        bank.fail_next(fault(gate.clone()));
        let (answer, ()) = tokio::join!(customer.post(COMMIT, "amount=1"), async {
            gate.arrived(1).await;
            assert!(!amounts(&bank).is_empty());
            gate.open();
        });
        assert!(answer.redirects_to("/ib/transfer/done.do"));
        assert_eq!(answer.header("content-length").unwrap(), answer.body.len().to_string());
    }
}

/// The half that is there has gone out before the other waits.
#[tokio::test]
async fn half_a_body_is_seen_before_the_gate_opens() {
    let bank = bank().await;
    let gate = Gate::shut();
    bank.fail_next(Fault::HoldHalf(gate.clone()));
    let mut socket = TcpStream::connect(bank.address()).await.unwrap();
    socket.write_all(&Customer::of(&bank, "a").request("GET", "/ib/menu.do", "", b"")).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(6).any(|bytes| bytes == b"BPT001") {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
    }
    gate.open();
    socket.read_to_end(&mut seen).await.unwrap();
    assert!(seen.ends_with(b"</html>\n"));
}

#[tokio::test]
async fn a_truncated_answer_ends_in_the_middle_of_what_it_announced() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    bank.fail_always(Fault::Truncate);
    let moved = customer.post(COMMIT, "amount=1").await;
    for answer in [moved, customer.get("/ib/menu.do").await] {
        let announced: usize = answer.header("content-length").unwrap().parse().unwrap();
        assert_eq!(answer.body.len(), announced / 2);
        assert!(announced > 1);
    }
    assert_eq!(amounts(&bank), [1]);
}

#[tokio::test]
async fn a_page_may_be_packed_or_in_chunks() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    bank.fail_next(Fault::Gzip);
    let packed = customer.post(COMMIT, "payee=x").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.header("content-length").unwrap(), packed.body.len().to_string());
    assert_eq!(packed.body[..3], [0x1F, 0x8B, 8]);

    bank.fail_next(Fault::Chunked);
    let chunked = customer.post(COMMIT, "amount=1").await;
    assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
    assert_eq!(chunked.header("content-length"), None);
    assert!(chunked.body.ends_with(b"\r\n0\r\n\r\n"));
    assert_eq!(amounts(&bank), [1]);
}

#[tokio::test]
async fn an_internal_error_does_not_say_whether_it_was_executed() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    bank.fail_next(Fault::InternalError(Execution::Done));
    bank.fail_next(Fault::InternalError(Execution::NotDone));
    let (done, not_done) = (customer.post(COMMIT, "amount=1").await, customer.post(COMMIT, "amount=2").await);
    assert_eq!((done.status(), not_done.status()), ("500", "500"));
    assert_eq!(done.body, not_done.body);
    assert_eq!(amounts(&bank), [1]);
}

#[tokio::test]
async fn the_error_page_comes_with_200_or_by_redirection() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    bank.fail_next(Fault::ErrorPage);
    assert!(customer.post(COMMIT, "amount=1").await.is_screen("BTRE900"));
    bank.fail_next(Fault::RedirectToErrorPage);
    assert!(customer.post(COMMIT, "amount=1").await.redirects_to("/ib/transfer/error.do"));
    assert!(customer.get("/ib/transfer/error.do").await.is_screen("BTRE900"));
    assert_eq!(amounts(&bank), []);
}

//! How the application's answers are read: whole, whatever pieces they come in, and never beyond their end.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::support::{Answer, Backend, Reply, TestGateway, within};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// 1xx is not the answer, and is not for the customer's browser, which did not ask for any.
#[tokio::test]
async fn interim_answers_are_passed_over_but_not_without_end() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let page = Reply::bytes_of("200 OK", &[], b"page");
    gateway.backend.next(Reply::Bytes([&hint.repeat(16)[..], &page].concat()));
    let answer = connection.get("/").await;
    assert_eq!((answer.status, answer.text().as_str(), answer.header("Link")), (200, "page", None));

    gateway.backend.next(Reply::Bytes([&hint.repeat(17)[..], &page].concat()));
    assert_eq!(connection.get("/").await.status, 502);
    gateway.backend.next(Reply::Bytes([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", &page[..]].concat()));
    assert_eq!(connection.get("/").await.status, 502);
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// An application that only ever says "go on" is as silent as one that says nothing.
#[tokio::test]
async fn an_endless_interim_answer_does_not_keep_a_request_waiting() {
    let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", application.local_addr().unwrap());
    let gateway = TestGateway::builder().upstream(upstream).spawn().await;
    let customer = gateway.enrol("hanakodt");
    let asked = tokio::spawn(async move { customer.get("/").await.status });
    let (mut stream, _) = application.accept().await.unwrap();
    let mut written = 0;
    while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {
        written += 1;
        assert!(written < 1_000_000, "the flood is taken without end");
        tokio::task::yield_now().await;
    }
    assert_eq!(within(PATIENCE, "the answer", asked).await.unwrap(), 502);
}

#[tokio::test]
async fn an_answer_means_the_same_wherever_it_is_torn() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n";
    for whole in [&sized[..], chunked] {
        let mut connection = customer.connect().await;
        for cut in 1..whole.len() {
            let gate = Arc::new(Semaphore::new(0));
            let (first, rest) = whole.split_at(cut);
            gateway.backend.next(Reply::Halves(first.to_vec(), Arc::clone(&gate), rest.to_vec()));
            let before = gateway.backend.count();
            let opened = async {
                gateway.backend.wait_for(before + 1).await;
                gate.add_permits(1);
            };
            let (answer, ()) = tokio::join!(connection.get("/"), opened);
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "torn after {cut}");
        }
        assert_eq!(gateway.backend.connections(), 1, "each answer was read to its end, and no further");
    }
}

/// An application that sends a body where there is none, and sends it late: it must not be the next one's answer.
#[tokio::test]
async fn a_body_that_follows_where_there_is_none_ends_with_its_connection() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let late = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray".to_vec();
    for (method, head) in [
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 43\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        let gate = Arc::new(Semaphore::new(0));
        gateway.backend.next(Reply::Halves(head.as_bytes().to_vec(), Arc::clone(&gate), late.clone()));
        connection.request(method, "/", &[], b"").await;
        let before = gateway.backend.connections();
        let next = connection.get("/").await;
        assert_ne!(next.text(), "stray", "{method} {head}");
        assert_eq!(gateway.backend.connections(), before + 1, "{method} {head}");
        gate.add_permits(1);
    }
    // Where nothing was announced, the connection serves on.
    gateway.backend.next(Reply::Bytes(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()));
    assert_eq!(connection.get("/").await.status, 304);
    let before = gateway.backend.connections();
    gateway.assert_served_on(&mut connection).await;
    assert_eq!(gateway.backend.connections(), before);
}

/// What the application says for the status is the application's.
#[tokio::test]
async fn an_answer_of_an_old_server_ends_with_its_connection() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for (number, head) in ["HTTP/1.0 200 Genki", "HTTP/1.1 200 Genki"].into_iter().enumerate() {
        gateway.backend.next(Reply::ThenClose(format!("{head}\r\nX-A: b\r\n\r\nuntil the end").into_bytes()));
        connection.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let answer = connection.read("GET").await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "until the end"));
        assert_eq!(gateway.backend.connections(), number + 1);
    }
    gateway.backend.next(Reply::Bytes(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\npage".to_vec()));
    assert_eq!(connection.get("/").await.text(), "page");
    let before = gateway.backend.connections();
    gateway.assert_served_on(&mut connection).await;
    assert_eq!(gateway.backend.connections(), before + 1, "HTTP/1.0 keeps nothing alive");
}

/// The application begins to answer, and goes on reading. Neither direction may wait for the other.
#[tokio::test]
async fn an_answer_that_nobody_reads_yet_does_not_hold_up_the_rest_of_the_request() {
    const LENGTH: usize = 32 << 20;
    let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", application.local_addr().unwrap());
    let gateway = TestGateway::builder().upstream(upstream).spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let head = format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n");
    connection.send_raw(head.as_bytes()).await.unwrap();

    let (stream, _) = application.accept().await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let answering = tokio::spawn(async move {
        writer.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes()).await.unwrap();
        writer.write_all(&vec![b'a'; LENGTH]).await.unwrap();
        writer
    });
    let reading = tokio::spawn(async move {
        let (mut read, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        let mut body = 0;
        loop {
            let count = reader.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the request breaks off after {body} bytes");
            if body == 0 {
                read.extend_from_slice(&buffer[..count]);
                if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                    body = read.len() - end - 4;
                }
            } else {
                body += count;
            }
            if body == LENGTH {
                return;
            }
        }
    });
    for _ in 0..LENGTH / (64 << 10) {
        within(PATIENCE, "a piece of the upload", connection.send_raw(&[b'r'; 64 << 10])).await.unwrap();
    }
    within(PATIENCE, "the end of the upload", reading).await.unwrap();

    let answer = within(PATIENCE, "the answer", Answer::read(&mut connection.stream, "POST")).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, LENGTH));
    answering.await.unwrap();
}

/// Large parts, small parts, and the end of it, towards an application that reads strictly.
#[tokio::test]
async fn a_chunked_upload_arrives_as_chunks_and_whole() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let sizes = [1, 4095, 4096, 4097, 70_000, 3, 300_000];
    connection
        .send_raw(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    for (number, size) in sizes.into_iter().enumerate() {
        let letter = [b'a' + number as u8];
        let chunk = [format!("{size:x}\r\n").as_bytes(), &letter.repeat(size), b"\r\n"].concat();
        connection.send_raw(&chunk).await.unwrap();
    }
    connection.send_raw(b"0\r\n\r\n").await.unwrap();
    assert_eq!(connection.read("POST").await.unwrap().status, 200);
    let expected: Vec<u8> =
        sizes.into_iter().enumerate().flat_map(|(number, size)| [b'a' + number as u8].repeat(size)).collect();
    assert!(gateway.backend.last().body == expected);
    gateway.backend.assert_clean();
}

/// A failure in the middle of an answer is counted like one before it.
#[tokio::test]
async fn an_answer_that_breaks_off_is_counted() {
    let gateway = TestGateway::spawn().await;
    gateway.backend.next(Reply::ThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()));
    assert!(gateway.enrol("hanakodt").try_get("/").await.is_err());
    let broken = gateway.operator.metric("sekisho_upstream_errors_total", &[("kind", "broken")]).await;
    assert!((broken - 1.0).abs() < f64::EPSILON, "{broken}");
}

/// An application that closes what it has kept for a while is not asked on that connection again.
#[tokio::test]
async fn what_the_application_says_unasked_ends_its_connection() {
    let gateway = TestGateway::spawn().await;
    let gate = Arc::new(Semaphore::new(0));
    let page = Reply::bytes_of("200 OK", &[], b"page");
    gateway.backend.next(Reply::Halves(page, Arc::clone(&gate), Reply::bytes_of("200 OK", &[], b"planted")));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    assert_eq!(connection.get("/").await.text(), "page");
    gate.add_permits(1);
    let open = || async { gateway.backend.open_connections() };
    crate::support::eventually("the connection with the planted answer", open, |open| *open == 0).await;
    assert_ne!(connection.get("/").await.text(), "planted");
    assert_eq!(Backend::connections(&gateway.backend), 2);
}

/// The customer still uploads, the application has answered long ago: the whole answer arrives all the same.
#[tokio::test]
async fn an_early_answer_is_not_cut_by_the_end_of_its_connection() {
    const LENGTH: usize = 300_000;
    let gateway = TestGateway::spawn().await;
    for _ in 0..5 {
        gateway.backend.next(Reply::EarlyAndOpen(Reply::bytes_of("200 OK", &[], &vec![b'a'; LENGTH])));
        let connection = gateway.enrol("hanakodt").connect().await;
        let (reader, mut writer) = tokio::io::split(connection.stream);
        let mut reader = tokio::io::BufReader::new(reader);
        let uploading = tokio::spawn(async move {
            let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n";
            writer.write_all(head.as_bytes()).await.unwrap();
            let piece = [b'x'; 16 << 10];
            // Until nobody takes it any more.
            while writer.write_all(&piece).await.is_ok() && writer.flush().await.is_ok() {}
        });
        let answer = within(PATIENCE, "the answer", Answer::read(&mut reader, "POST")).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, LENGTH));
        drop(reader);
        uploading.abort();
    }
}

/// RFC 9110 9.3.2: the application's answer to HEAD and our own refusal of it end with their heads.
#[tokio::test]
async fn an_answer_to_head_has_no_body_in_either_version() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let (mut http1, mut http2) = (customer.connect().await, customer.connect_http2().await);
    for (path, status) in [("/ib/transfer/commit.do", 405), ("/ib/menu.do", 200)] {
        if status == 200 {
            let reply = || Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec());
            [reply(), reply(), reply()].into_iter().for_each(|reply| gateway.backend.next(reply));
        }
        assert_eq!(http1.request("HEAD", path, &[], b"").await.status, status);
        assert_eq!(http1.request("HEAD", path, &[], b"").await.status, status);
        let answer = http2.request("HEAD", path, &[], b"").await;
        assert_eq!((answer.status, answer.body.len()), (status, 0));
    }
}

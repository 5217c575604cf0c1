//! Orders that count against no ceiling: 総合振込 and 給与・賞与振込 are exempt, and metered (LIM-03, LIM-30).

use crate::support::{LIMIT, MoneyStory, Said};

const MULTIPART: [(&str, &str); 1] = [("Content-Type", "multipart/form-data; boundary=b")];

/// Files whose form says how much they move in all, and files whose form does not.
const FILES: &str = r#"
    [[route]]
    name = "bulk"
    method = "POST"
    path = "/ib/bulk/upload.do"
    class = "bulk"
    content-type = "multipart/form-data"
    amount = ["total"]
    [[route]]
    name = "payroll"
    method = "POST"
    path = "/ib/payroll/upload.do"
    class = "payroll"
"#;

fn file(total: u64) -> Vec<u8> {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"total\"\r\n\r\n{total}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nyamada,{total}\r\n\r\n--b--\r\n"
    )
    .into()
}

async fn metered(story: &MoneyStory, class: &str) -> (f64, f64) {
    let operator = &story.gateway.operator;
    let orders = operator.metric("sekisho_exempt_orders_total", &[("class", class)]).await;
    (orders, operator.metric("sekisho_exempt_yen_total", &[("class", class)]).await)
}

#[tokio::test]
async fn what_is_exempt_counts_for_nothing_and_is_metered() {
    let story = MoneyStory::with(FILES).await;
    let mut payer = story.payer("hanakodt");
    for _ in 0..2 {
        assert_eq!(payer.post("/ib/bulk/upload.do", &MULTIPART, &file(LIMIT)).await.status, 302);
    }
    assert_eq!(payer.post("/ib/payroll/upload.do", &MULTIPART, &file(7)).await.status, 302);
    let in_all = (2.0, 200_000_000.0);
    assert_eq!(metered(&story, "bulk").await, in_all);
    assert_eq!(metered(&story, "payroll").await, (1.0, 0.0), "what is streamed says nothing of yen");
    assert_eq!(payer.counted().await, 0);
    // What is refused is no order, and what counts is not exempt.
    assert_eq!(payer.post("/ib/bulk/upload.do", &MULTIPART, &file(0)).await.status, 400);
    assert_eq!(payer.transfer(LIMIT).await, Said::done());
    assert_eq!(metered(&story, "bulk").await, in_all);
    story.close().await;
}

/// Which classes are exempt is the institution's own list.
#[tokio::test]
async fn a_class_that_is_counted_is_not_exempt() {
    let counted = r#"
        [transfer]
        counted = ["transfer", "bulk"]
        [[route]]
        name = "lines"
        method = "POST"
        path = "/ib/transfer/multi.do"
        class = "bulk"
        charset = "windows-31j"
        amount = ["kingaku*"]
        success = { status = 302, location = "/ib/transfer/done.do" }
    "#;
    let story = MoneyStory::with(counted).await;
    let mut payer = story.payer("hanakodt");
    assert_eq!(payer.submit("/ib/transfer/multi.do", "kingaku1=60000000&kingaku2=40000000").await, Said::done());
    story.assert_counted(&mut payer, LIMIT).await;
    assert_eq!(payer.submit("/ib/transfer/multi.do", "kingaku1=1").await, Said::refused(403, "over_ceiling"));
    assert_eq!(metered(&story, "bulk").await, (0.0, 0.0));
    story.close().await;
}

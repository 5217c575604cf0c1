//! Whose day is it? Midnight in Japan, clocks that are stepped, and orders for days to come (LIM-20, LIM-21, LIM-22, LIM-34,
//! LIM-35, A17, A34, A35, A36).

use sekisho::demo::bank::{Fault, Gate};

use crate::support::{COMMIT, LIMIT, MoneyStory, Said};

fn over() -> Said {
    Said::refused(403, "over_ceiling")
}

fn behind() -> Said {
    Said::refused(503, "clock_behind")
}

/// The machine is in whatever zone: what counts is the calendar of Japan.
#[tokio::test]
async fn the_day_ends_at_midnight_in_japan_and_nowhere_else() {
    let story = MoneyStory::plan().at("08:59:00").open().await;
    let mut hanako = story.payer("hanakodt");
    let day = story.today();
    assert_eq!(hanako.transfer(LIMIT - 1).await, Said::done());
    // Midnight in UTC.
    story.set_time(day, "09:00:01");
    assert_eq!((hanako.transfer(2).await, hanako.transfer(1).await), (over(), Said::done()));
    story.set_time(day, "23:58:52");
    assert_eq!(hanako.transfer(1).await, over());
    story.set_time(day.plus_days(1), "00:00:05");
    assert_eq!((hanako.transfer(LIMIT).await, hanako.transfer(1).await), (Said::done(), over()));
    story.assert_truth("hanakodt", day, LIMIT);
    assert_eq!(story.bank.executed_sum("hanakodt", day.plus_days(1)), LIMIT);
    story.close().await;
}

/// A34: the bank may execute on either side, so there must be room on both, and none is left on either.
#[tokio::test]
async fn what_is_on_its_way_at_midnight_counts_on_both_days() {
    for time in ["23:58:53", "23:59:59.999", "00:00:00", "00:00:04.999"] {
        let before = if time.starts_with("23") { 0 } else { -1 };
        let story = MoneyStory::plan().at(time).open().await;
        let (first, second) = (story.today().plus_days(before), story.today().plus_days(before + 1));
        let mut hanako = story.payer("hanakodt");
        let gate = Gate::shut();
        story.bank.fail_next(Fault::HoldRequest(gate.clone()));
        let mut tab = hanako.tab();
        let held = tokio::spawn(async move { tab.transfer(60_000_000).await });
        gate.arrived(1).await;
        // Meanwhile nothing more fits on either day.
        assert_eq!(hanako.transfer(40_000_001).await, over(), "{time}");
        story.clock.advance_milliseconds(1);
        gate.open();
        assert_eq!(held.await.unwrap(), Said::done(), "{time}");
        assert_eq!(hanako.transfer(40_000_001).await, over(), "{time}");
        story.set_time(second, "00:00:05");
        assert_eq!(hanako.transfer(40_000_001).await, over(), "{time}");
        assert_eq!(hanako.transfer(40_000_000).await, Said::done(), "{time}");
        for day in [first, second] {
            story.assert_truth("hanakodt", day, LIMIT);
        }
        story.close().await;
    }
}

/// Reserved before the hour in which orders count on both days, and still waiting for a connection when it has begun.
#[tokio::test]
async fn an_order_that_waits_into_the_next_day_does_not_leave() {
    let layer = "[upstream]\nmax-connections = 1\nconnect-timeout = \"30s\"";
    for (waits_until, said) in [("23:58:54", Said::done()), ("23:58:56", Said::refused(503, "day_ended"))] {
        let story = MoneyStory::plan().at("23:58:00").layer(layer).open().await;
        let (mut hanako, mut taro) = (story.payer("hanakodt"), story.payer("tarokodt"));
        let gate = Gate::shut();
        story.bank.fail_next(Fault::HoldRequest(gate.clone()));
        let first = tokio::spawn(async move { taro.transfer(1).await });
        gate.arrived(1).await;
        let mut tab = hanako.tab();
        let second = tokio::spawn(async move { tab.transfer(60_000_000).await });
        story.gateway.operator.wait_for("sekisho_reservations", &[("state", "reserved")], 2.0).await;
        story.set_time(story.today(), waits_until);
        gate.open();
        assert_eq!(first.await.unwrap(), Said::done());
        assert_eq!(second.await.unwrap(), said, "{waits_until}");
        let expected = if said == Said::done() { 60_000_000 } else { 0 };
        assert_eq!((story.executed_today("hanakodt"), hanako.counted().await), (expected, expected));
        story.close().await;
    }
}

/// LIM-35: the bank's clock is off, within what the configuration allows for; its own day decides.
#[tokio::test]
async fn a_bank_whose_clock_is_off_executes_no_more_on_any_of_its_days() {
    for seconds in [-5, 5] {
        let story = MoneyStory::plan().at("23:00:00").two_clocks().open().await;
        story.bank_clock.advance(seconds);
        let mut hanako = story.payer("hanakodt");
        let today = story.today();
        assert_eq!(hanako.transfer(60_000_000).await, Said::done());
        // Whatever fits is sent, second by second over midnight.
        story.advance(3_500);
        let mut refused = 0;
        for _ in 0..200 {
            story.advance(1);
            match hanako.transfer(10_000_000).await {
                said if said == Said::done() => {}
                said => {
                    assert_eq!(said, over());
                    refused += 1;
                }
            }
        }
        assert!(refused > 0);
        for days in 0..2 {
            story.assert_truth("hanakodt", today.plus_days(days), LIMIT);
        }
        // All of it was allowed in the end.
        assert_eq!(hanako.counted().await, LIMIT);
        story.close().await;
    }
}

#[tokio::test]
async fn a_full_day_on_either_side_of_midnight_refuses() {
    let story = MoneyStory::plan().at("23:00:00").open().await;
    let mut hanako = story.payer("hanakodt");
    let (today, tomorrow) = (story.today(), story.today().plus_days(1));
    assert_eq!(hanako.transfer(LIMIT).await, Said::done());
    for (day, time) in
        [(today, "23:58:53"), (today, "23:59:59.999"), (tomorrow, "00:00:00"), (tomorrow, "00:00:04.999")]
    {
        story.set_time(day, time);
        assert_eq!(hanako.transfer(1).await, over(), "{time}");
    }
    story.set_time(tomorrow, "00:00:05");
    assert_eq!(hanako.transfer(1).await, Said::done());
    story.close().await;
}

/// LIM-22: yesterday does not open again, whoever steps the clock; what only reads goes on.
#[tokio::test]
async fn a_clock_that_is_stepped_back_stops_money_and_nothing_else() {
    let story = MoneyStory::plan().at("23:50:00").open().await;
    let mut hanako = story.payer("hanakodt");
    let (yesterday, today) = (story.today(), story.today().plus_days(1));
    assert_eq!(hanako.transfer(10_000_000).await, Said::done());
    story.set_time(today, "00:05:00");
    assert_eq!(hanako.transfer(LIMIT).await, Said::done());

    let before = story.bank.received();
    for seconds in [-600, -6, 1] {
        story.clock.advance(seconds);
        for mut payer in story.payers("hanakodt").into_iter().chain(story.payers("tarokodt")) {
            assert_eq!(payer.transfer(1).await, behind(), "{seconds}");
        }
    }
    assert_eq!(story.bank.received(), before);
    assert_eq!(hanako.get("/ib/balance.do").await, Said::Screen("BPT001".into()));

    // A restart does not help whoever stepped it.
    let story = story.restart().await;
    assert_eq!(story.payer("hanakodt").transfer(1).await, behind());
    story.set_time(today, "00:04:55");
    assert_eq!(story.payer("hanakodt").transfer(1).await, over(), "the tolerance is within today");
    assert_eq!(story.payer("tarokodt").transfer(1).await, Said::done());
    story.set_time(today, "00:05:01");
    assert_eq!(story.payer("hanakodt").transfer(1).await, over());
    assert_eq!(story.payer("tarokodt").transfer(1).await, Said::done());
    story.assert_truth("hanakodt", yesterday, LIMIT);
    story.close().await;
}

/// LIM-22: the clock alone says what day it is, so nobody sets it in silence; and what was spent on a day too early stays
/// in the way when the clock is set right.
#[tokio::test]
async fn a_clock_that_is_stepped_ahead_is_told_and_cannot_be_set_back_unnoticed() {
    let story = MoneyStory::plan().two_clocks().without_ceiling().open().await;
    let mut hanako = story.payer("hanakodt");
    let steps = async |direction, count| {
        story.gateway.operator.wait_for("sekisho_clock_steps_total", &[("direction", direction)], count).await;
    };
    assert_eq!(hanako.transfer(LIMIT).await, Said::done());
    story.clock.advance(86_400);
    steps("ahead", 1.0).await;
    assert_eq!(hanako.transfer(1).await, Said::done(), "by the only clock there is, it is tomorrow");
    story.clock.advance(-86_400);
    steps("back", 1.0).await;
    for mut payer in story.payers("hanakodt").into_iter().chain(story.payers("tarokodt")) {
        assert_eq!(payer.transfer(1).await, behind());
    }
    story.clock.advance(86_401);
    steps("ahead", 2.0).await;
    assert_eq!((hanako.transfer(LIMIT).await, hanako.transfer(LIMIT - 1).await), (over(), Said::done()));
    story.close().await;
}

/// A17 for money: at either end of a certificate's life nothing moves, not even on a connection that was open before.
#[tokio::test]
async fn a_clock_that_is_a_year_off_moves_nothing() {
    for seconds in [-366 * 86_400, 366 * 86_400] {
        let story = MoneyStory::begin().await;
        let customer = story.customer("hanakodt");
        let mut open = customer.connect().await;
        assert_eq!(open.submit(COMMIT, "amount=1").await.status, 302);
        story.clock.advance(seconds);
        let refused = open.try_submit(COMMIT, "amount=2").await;
        assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status >= 400));
        story.customer("tarokodt").expect_refusal().await;
        assert_eq!((story.executed(), story.bank.received()), (vec![1], 1));
        story.close().await;
    }
}

const DATED: &str = "[[route]]\nname = \"transfer\"\ndate = \"date\"\ndate-format = \"YYYYMMDD\"\n";

fn dated(story: &MoneyStory, yen: u64, days: i32) -> String {
    format!("amount={yen}&date={}", story.today().plus_days(days).to_number())
}

/// A35: all of them are ordered today.
#[tokio::test]
async fn orders_for_ten_days_share_the_limit_of_the_day_on_which_they_are_accepted() {
    let story = MoneyStory::with(DATED).await;
    let mut hanako = story.payer("hanakodt");
    for days in 0..10 {
        assert_eq!(hanako.submit(COMMIT, &dated(&story, 10_000_000, days)).await, Said::done());
    }
    assert_eq!(hanako.submit(COMMIT, &dated(&story, 1, 11)).await, over());
    story.assert_counted(&mut hanako, LIMIT).await;
    story.close().await;
}

#[tokio::test]
async fn orders_count_on_the_day_for_which_they_are_meant_where_the_institution_says_so() {
    let designated = format!("[transfer]\nday-basis = \"designated\"\n{DATED}");
    let story = MoneyStory::plan().layer(designated).without_ceiling().open().await;
    let mut hanako = story.payer("hanakodt");
    let today = story.today();
    for (form, said) in [
        (dated(&story, LIMIT, 1), Said::done()),
        (dated(&story, 1, 1), over()),
        (dated(&story, LIMIT - 5, 2), Said::done()),
        ("amount=60000000".into(), Said::done()),
        ("amount=40000001&date=".into(), over()),
        (dated(&story, 40_000_001, 0), over()),
        (dated(&story, 40_000_000, 0), Said::done()),
    ] {
        assert_eq!(hanako.submit(COMMIT, &form).await, said, "{form}");
    }
    // A day later, what was ordered for it is still there.
    story.set_time(today.plus_days(1), "12:00:00");
    assert_eq!(hanako.transfer(1).await, over());
    assert_eq!(hanako.submit(COMMIT, &dated(&story, 6, 1)).await, over());
    assert_eq!(hanako.submit(COMMIT, &dated(&story, 5, 1)).await, Said::done());
    for days in 0..3 {
        assert_eq!(story.bank.designated_sum("hanakodt", today.plus_days(days)), LIMIT);
    }
    story.close().await;
}

#[tokio::test]
async fn orders_can_count_on_both_days() {
    let story = MoneyStory::with(format!("[transfer]\nday-basis = \"both\"\n{DATED}")).await;
    let mut hanako = story.payer("hanakodt");
    let today = story.today();
    assert_eq!(hanako.submit(COMMIT, &dated(&story, 60_000_000, 1)).await, Said::done());
    assert_eq!(hanako.submit(COMMIT, &dated(&story, 40_000_001, 2)).await, over(), "accepted today");
    story.set_time(today.plus_days(1), "12:00:00");
    assert_eq!(hanako.transfer(40_000_001).await, over(), "to be executed today");
    assert_eq!(hanako.transfer(40_000_000).await, Said::done());
    for days in 0..3 {
        assert!(story.bank.designated_sum("hanakodt", today.plus_days(days)) <= LIMIT);
    }
    story.close().await;
}

#[tokio::test]
async fn days_that_no_calendar_has_and_days_gone_by_are_refused() {
    for basis in ["accepted", "designated", "both"] {
        let story = MoneyStory::with(format!("[transfer]\nday-basis = \"{basis}\"\n{DATED}")).await;
        let mut hanako = story.payer("hanakodt");
        let today = story.today();
        let year = today.to_number() / 10_000 + 1;
        let mut dates: Vec<String> =
            [-1, -365, 500, 100_000].iter().map(|days| today.plus_days(*days).to_number().to_string()).collect();
        dates.extend([
            format!("{year}0230"),
            format!("{year}1301"),
            format!("{year}0000"),
            format!("{year}0632"),
            format!("{year}010"),
        ]);
        for date in dates.iter().map(String::as_str).chain([
            "%95%BD%90%AC25%94N5%8C%8E20%93%FA", // 平成25年5月20日
            "H250520",
            "R090101",
            "%82Q%82O%82Q%82V%82O%82P%82O%82P", // ２０２７０１０１
            "2027-01-01",
            "2027/01/01",
            "20270101x",
            "+20270101",
            "20270101%20",
            "tomorrow",
            "0",
        ]) {
            let said = hanako.submit(COMMIT, &format!("amount=1&date={date}")).await;
            assert_eq!(said, Said::refused(400, "bad_date"), "{basis}: {date}");
        }
        for form in ["amount=1&date=20990101&date=20270101", "amount=1&Date=20270101", "amount=1&date[]=20270101"] {
            assert_eq!(hanako.submit(COMMIT, form).await, Said::refused(400, "ambiguous_field"), "{form}");
        }
        story.assert_bank_untouched();
        story.close().await;
    }
}

/// LIM-21 and A36: taking back and ordering again makes no second budget, today or tomorrow.
#[tokio::test]
async fn taking_an_order_back_frees_nothing() {
    let cancel = "[[route]]\nname = \"cancel\"\nmethod = \"POST\"\npath = \"/ib/transfer/cancel.do\"\nclass = \"transfer\"\n\
                  step = \"cancel\"\n";
    let story = MoneyStory::with(format!("{DATED}{cancel}")).await;
    let mut hanako = story.payer("hanakodt");
    let today = story.today();
    assert_eq!(hanako.submit(COMMIT, &dated(&story, 60_000_000, 5)).await, Said::done());
    assert_eq!(hanako.submit(COMMIT, &dated(&story, 40_000_000, 5)).await, Said::done());
    assert_eq!(hanako.submit("/ib/transfer/cancel.do", "id=1").await, Said::To("/ib/transfer/cancelled.do".into()));
    assert_eq!(hanako.transfer(1).await, over());
    story.set_time(today.plus_days(1), "12:00:00");
    assert_eq!(hanako.submit("/ib/transfer/cancel.do", "id=2").await, Said::To("/ib/transfer/cancelled.do".into()));
    assert_eq!((hanako.transfer(LIMIT).await, hanako.transfer(1).await), (Said::done(), over()));
    story.assert_truth("hanakodt", today, LIMIT);
    story.close().await;
}

//! Amounts through the gateway to each kind of application: either the bank executes exactly what the ledger counts, or
//! nothing (LIM-09, A27, A43).

use sekisho::demo::bank::AmountParser;

use crate::support::payer::FORM;
use crate::support::{COMMIT, MoneyStory, Said};

const PARSERS: [AmountParser; 3] = [AmountParser::Long, AmountParser::BigDecimal, AmountParser::NumberFormat];

/// The table of REQUIREMENTS 3.4, the bad inputs of LIM-09 and A27.
const SPELLINGS: &[&str] = &[
    "１０００００",
    "٣٢١",
    "100,000",
    "１００，０００",
    "1e9",
    "+100000",
    "-1",
    "0100",
    "100000.00",
    "100000円",
    "0x10",
    "100000\0",
    "9223372036854775808",
    "18446744073709551617",
    "1",
    "100000",
    "",
    "0",
    "00",
    "00100",
    "-0",
    "－１",
    "−1",
    "＋１",
    " 1",
    "1 ",
    "\t1",
    "1\n",
    "1\r\n",
    "\u{3000}1",
    "1.0",
    "1.",
    ".5",
    "１．０",
    "1,00",
    "1,,000",
    ",100",
    "1，000",
    "1E9",
    "1e-3",
    "12345e-3",
    "0e99",
    "NaN",
    "Infinity",
    "null",
    "一億",
    "1億",
    "壱",
    "¥100",
    "￥100",
    "100円",
    "1_000",
    "1'000",
    "1000000000000000",
    "99999999999999999999",
    "4294967297",
    "１",
    "१",
    "²",
    "½",
    "①",
    "1L",
    "100;200",
    "1 000",
    "\u{feff}1",
    "(1)",
    "1%",
    "--1",
];

/// What the application reads is what we count, whichever class of the standard library it reads with.
async fn executed_is_counted(format: &str, allowed: &[(&str, u64)]) {
    let layer = format!("[[route]]\nname = \"transfer\"\namount-format = \"{format}\"\n");
    let story = MoneyStory::plan().layer(layer).ceiling(999_999_999_999_999 / 2).open().await;
    let [mut payer, mut other] = story.payers("hanakodt");
    let mut sum = 0;
    for parser in PARSERS {
        story.bank.switch(|switches| switches.amount_parser = parser);
        for (at, text) in SPELLINGS.iter().enumerate() {
            let (encoded, _, unmappable) = encoding_rs::SHIFT_JIS.encode(text);
            if unmappable {
                continue;
            }
            // Half of them raw, half percent-encoded.
            let raw = at % 2 == 0 && !text.contains(['%', '&', '+', ';']);
            let spelt = |byte: &u8| if raw { vec![*byte] } else { format!("%{byte:02X}").into_bytes() };
            let form = [&b"payee=yamada&amount="[..], &encoded.iter().flat_map(spelt).collect::<Vec<_>>()].concat();
            let said = Said::of(&payer.post(COMMIT, &[("Content-Type", FORM)], &form).await);
            std::mem::swap(&mut payer, &mut other);
            match allowed.iter().find(|(allowed, _)| allowed == text) {
                Some((_, yen)) => {
                    sum += yen;
                    assert_eq!(said, Said::done(), "{text:?} by {parser:?}");
                    assert_eq!(story.executed().last(), Some(&i128::from(*yen)), "{text:?} by {parser:?}");
                }
                None => assert!(matches!(said, Said::Refused(400, _)), "{text:?} by {parser:?}: {said:?}"),
            }
            assert_eq!(story.executed_today("hanakodt"), sum, "{text:?} by {parser:?}");
        }
        story.assert_counted(&mut payer, sum).await;
    }
    assert_eq!(story.bank.executed().len(), 3 * allowed.len());
    story.close().await;
}

#[tokio::test]
async fn strictly_only_plain_digits_are_an_amount_to_anybody() {
    executed_is_counted("strict", &[("1", 1), ("100000", 100_000), ("4294967297", 4_294_967_297)]).await;
}

/// What people type in Japan is rewritten into what every application reads alike.
#[tokio::test]
async fn japanese_spellings_arrive_at_the_bank_as_plain_digits() {
    let plain = [("1", 1), ("100000", 100_000), ("4294967297", 4_294_967_297)];
    let japanese =
        [("１０００００", 100_000), ("100,000", 100_000), ("１００，０００", 100_000), ("1，000", 1_000), ("１", 1)];
    executed_is_counted("ja", &[&plain[..], &japanese].concat()).await;
}

/// A43: a negative amount, also as one of several lines, makes no room.
#[tokio::test]
async fn no_amount_makes_room_for_another() {
    let lines = "[[route]]\nname = \"lines\"\nmethod = \"POST\"\npath = \"/ib/transfer/multi.do\"\nclass = \"transfer\"\n\
                 charset = \"windows-31j\"\namount = [\"kingaku*\"]\n\
                 success = { status = 302, location = \"/ib/transfer/done.do\" }\n";
    let story = MoneyStory::plan().layer(lines).ceiling(100).open().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.transfer(100).await, Said::done());
    for amount in ["-100", "%2D100", "%81%7C100", "-1", "0"] {
        assert_eq!(hanako.submit(COMMIT, &format!("amount={amount}")).await, Said::refused(400, "bad_amount"));
        let several = format!("kingaku1=100&kingaku2={amount}");
        let said = hanako.submit("/ib/transfer/multi.do", &several).await;
        assert_eq!(said, Said::refused(400, "bad_amount"), "{amount}");
        assert_eq!(hanako.transfer(1).await, Said::refused(403, "over_ceiling"));
    }
    story.assert_counted(&mut hanako, 100).await;
    story.close().await;
}

//! Amounts beside a real Java: whatever we accept, the parsers that applications use read as the same number (LIM-09).

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sekisho::policy::body::AmountFormat;

/// What Java's `Long.parseLong`, `new BigDecimal` and `NumberFormat` for Japan say, `error` where they refuse.
type Readings = [String; 3];

fn java(texts: &[String]) -> Vec<Readings> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/AmountOracle.java");
    let mut java =
        Command::new("java").arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("java starts");
    let mut lines = java.stdin.take().unwrap();
    let asked: String = texts.iter().map(|text| data_encoding::HEXLOWER.encode(text.as_bytes()) + "\n").collect();
    let writer = std::thread::spawn(move || lines.write_all(asked.as_bytes()));
    let output = java.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let readings = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    let answers: Vec<Readings> = answers.lines().map(readings).collect();
    assert_eq!(answers.len(), texts.len());
    answers
}

/// The table of REQUIREMENTS 3.4.
const TABLE: [(&str, [&str; 3]); 13] = [
    ("１０００００", ["100000", "100000", "100000"]),
    ("٣٢١", ["321", "321", "321"]),
    ("100,000", ["error", "error", "100000"]),
    ("１００，０００", ["error", "error", "100"]),
    ("1e9", ["error", "1000000000", "1"]),
    ("+100000", ["100000", "100000", "error"]),
    ("-1", ["-1", "-1", "-1"]),
    ("0100", ["100", "100", "100"]),
    ("100000.00", ["error", "100000.00", "100000"]),
    ("100000円", ["error", "error", "100000"]),
    ("0x10", ["error", "error", "0"]),
    ("100000\0", ["error", "error", "100000"]),
    ("9223372036854775808", ["error", "9223372036854775808", "9.223372036854776E18"]),
];

/// Every text of up to three of these characters, and numbers of every length.
fn texts() -> Vec<String> {
    let characters = ["1", "9", "0", "１", ",", "，", "+", "-", ".", " ", "e", "円"];
    let mut texts: Vec<String> = characters.map(str::to_owned).to_vec();
    for round in 0..2 {
        let longer = texts.iter().filter(|text| text.chars().count() == round + 1);
        let longer: Vec<String> =
            longer.flat_map(|text| characters.map(|character| format!("{text}{character}"))).collect();
        texts.extend(longer);
    }
    texts.extend((1..=20).flat_map(|length| ["1", "9", "５"].map(|digit| digit.repeat(length))));
    texts.extend(["1,000", "１，０００", "１,０００", "999,999,999,999,999", "12,34", "1,0000"].map(str::to_owned));
    texts
}

#[test]
fn java_s_parsers_differ_as_the_table_says_and_none_of_these_is_a_strict_amount() {
    let texts = TABLE.map(|(text, _)| text.to_owned());
    for ((text, expected), said) in TABLE.iter().zip(java(&texts)) {
        assert_eq!(said.each_ref().map(String::as_str), *expected, "{text:?}");
        assert_eq!(AmountFormat::Strict.parse(text), None, "{text:?}");
    }
}

#[test]
fn whatever_is_forwarded_as_an_amount_all_of_java_s_parsers_read_as_what_was_counted() {
    let texts = texts();
    let mut forwarded = Vec::new();
    for text in &texts {
        for format in [AmountFormat::Strict, AmountFormat::Ja] {
            forwarded.extend(format.parse(text).map(|amount| (amount.digits.into_owned(), amount.yen)));
        }
    }
    let digits: Vec<String> = forwarded.iter().map(|(digits, _)| digits.clone()).collect();
    for ((digits, yen), said) in forwarded.iter().zip(java(&digits)) {
        assert_eq!(said, [0, 1, 2].map(|_| yen.to_string()), "{digits}");
    }
    // The other way round: what the three read alike and write as we do is not refused, so that the test tests something.
    for (text, said) in texts.iter().zip(java(&texts)) {
        let alike = said.iter().all(|reading| reading == text) && text.len() <= 15;
        if alike && !text.starts_with('-') && text != "0" {
            assert_eq!(AmountFormat::Strict.parse(text).map(|amount| amount.yen.to_string()).as_ref(), Some(text));
        }
    }
}

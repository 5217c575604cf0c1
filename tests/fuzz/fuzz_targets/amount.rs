//! Any text as an amount.

#![no_main]

use sekisho::policy::body::AmountFormat;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let strict = AmountFormat::Strict.parse(text);
    let ja = AmountFormat::Ja.parse(text);
    if let Some(strict) = &strict {
        assert_eq!(ja.as_ref(), Some(strict));
        assert_eq!(text.parse(), Ok(strict.yen.get()));
    }
    if let Some(ja) = &ja {
        let canonical = AmountFormat::Strict.parse(&ja.digits).expect("the canonical digits are strict");
        assert_eq!(canonical.yen, ja.yen);
        assert_eq!(ja.yen.to_string(), ja.digits);
    }
});

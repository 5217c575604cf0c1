//! Any bytes as a form body.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sekisho_fuzz::read(sekisho::policy::body::MediaType::Form, data));

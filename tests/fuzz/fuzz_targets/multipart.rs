//! Any bytes as a multipart body.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sekisho_fuzz::read(sekisho::policy::body::MediaType::Multipart, data));

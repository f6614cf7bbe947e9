#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| syntra_core::testing::fuzz::document(data));

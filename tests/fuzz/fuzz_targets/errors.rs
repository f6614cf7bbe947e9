#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    syntra_core::testing::fuzz::failure(data);
    syntra_core::testing::fuzz::words(data);
    syntra_core::testing::fuzz::advice(data);
});

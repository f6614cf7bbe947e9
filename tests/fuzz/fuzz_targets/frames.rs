#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    syntra_core::testing::fuzz::sse(data);
    syntra_core::testing::fuzz::ndjson(data);
    syntra_core::testing::fuzz::json_array(data);
});

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smd_models::fuzz::named("decompressor", data));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smd_models::fuzz::named("server_machine", data));

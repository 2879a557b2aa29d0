#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    subrosa_hostile::identity_signature(data);
});

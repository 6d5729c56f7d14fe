//! Feeds texts to the reader of policy files: it refuses with a place, or accepts, and never panics.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(error) = policies::parse_csv("fuzz.csv", text) {
        assert!(!error.to_string().is_empty());
    }
});

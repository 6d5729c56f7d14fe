//! Feeds texts to everything that reads conditions; see `tests/attack`.

#![no_main]

#[path = "../../tests/attack/mod.rs"]
mod attack;

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

#[path = "../../tests/random/mod.rs"]
mod random;

libfuzzer_sys::fuzz_target!(|text: &str| attack::condition(text));

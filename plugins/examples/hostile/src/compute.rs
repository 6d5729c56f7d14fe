//! Time, memory and stack without end.

use std::hint::black_box;

pub fn loop_for_ever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub fn allocate_without_end() -> ! {
    let mut hoard = Vec::new();
    loop {
        // touched only once: filling it would take longer than a call may
        let mut block: Vec<u8> = Vec::with_capacity(1 << 20);
        block.push(1);
        hoard.push(black_box(block));
    }
}

pub fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { recurse(depth + 1) + black_box(1) }
}

//! Real components against records in memory: what is accepted, what a rule may do, and that nothing a guest does gets
//! past its limits.

mod grants;
mod hostile;
mod loading;
mod memory;
mod order_guard;
mod setup;

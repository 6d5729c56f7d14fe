//! Real components against records in memory: what is accepted, what a rule may do, and that nothing a guest does gets
//! past its limits.

mod contract;
mod corpus;
mod effects;
mod grants;
mod guest;
mod hostile;
mod instances;
mod loading;
mod memory;
mod metered;
mod order_guard;
mod setup;
mod stacks;
mod transcript;
mod wasi;

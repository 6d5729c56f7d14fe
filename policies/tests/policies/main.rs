//! What the policies promise, tested through the public API of the crate. No server, no database: decisions are values.

mod world;

mod files;

mod decisions;

mod roles;

mod traps;

mod stock_casbin;

//! What the policies promise, tested through the public API of the crate. No server, no database: decisions are values.

mod world;

mod files;

mod decisions;

mod roles;

mod traps;

mod random;

mod stock_casbin;

mod incremental;

mod storm;

mod explain;

mod matrix;

mod lint;

mod trials;

//! Who may do what. This crate owns the policies: their CSV form, the immutable [`Snapshot`] of everything that is in force, and the
//! [`Plan`] that answers for one group of callers, one action and one collection. It is the only code that knows Casbin. What a
//! condition means is for `model`; how it becomes a query is for `store`; when a plan is asked is for `app`.
//!
//! Deny overrides, and doubt denies: an engine that fails, a condition that does not fit its collection, a value that is missing -
//! none of them ever widens access.

mod policy;

mod role;

mod error;

mod fields;

mod reader;

mod file;

mod layer;

mod standing;

mod snapshot;

mod plan;

mod engine;

mod explain;

mod matrix;

mod lint;

mod trial;

pub use error::{Column, Error};
pub use explain::{Candidate, Decision, Explanation, FieldLists, HeldRole, Inquiry, NearMiss, Outcome, PolicyName, Reason, Step};
pub use fields::FieldMask;
pub use file::{DEFAULT_CSV, parse_csv};
pub use lint::{Finding, Severity, UNHELD, review, review_among};
pub use matrix::{Cell, CellAccess, ConditionalFields, Flip, Whom, compare};
pub use plan::{Access, Mode, Plan, differences};
pub use policy::{Actions, Effect, Policy, PolicyDraft, PolicyId, SYSTEM_OBJECTS, Source};
pub use reader::{PolicySet, Reader, Seal};
pub use role::RoleLink;
pub use snapshot::{Change, Collections, Snapshot, check_fit};
pub use trial::{Coverage, Report, TrialError, TrialResult, Trials, parse_trials, run};

//! Tests of policies, written beside them as `*.test.toml` or `*.test.json`: who, doing what, to which record, may or may not. Called
//! trials here, so that they are not taken for the tests of this program. They need no server and no database, and give the same answers.
//!
//! ```toml
//! # Optional: the time that `now` means, for all tests of the file.
//! now = 2026-11-22T12:00:00Z
//!
//! # People: their roles, their tenant (`main` unless it is said) and what conditions see as `caller.team`, which is also their record
//! # in the collection `users`.
//! [users.ann]
//! roles = ["customer"]
//! tenant = "main"
//! fields = { team = "a" }
//!
//! # Stored records by collection and id. Only the fields that matter need to be there; ids may be any word.
//! [records."orders/1"]
//! customer = "ann"
//! status = "placed"
//!
//! [[test]]
//! name = "customers read their own orders"     # optional
//! as = "ann"                                   # or "anonymous", "service:x", "plugin:x"; or roles = ["staff"] for anybody who holds them
//! action = "read"
//! on = "orders/1"                              # a record of this file; a collection; a system object such as "_policies"
//! expect = "allowed"                           # or "denied"; of a collection without record also "depends"
//! by = "shop.csv:4"                            # optional: the policy that decides, by its place or its id
//! reason = "allowed_by"                        # optional: see `Reason`; also "field_forbidden"
//! fields = ["status"]                          # optional: fields that must be readable (or writable) ...
//! hidden = ["customer"]                        # ... and fields that must not
//! now = 2027-01-01T00:00:00Z                   # optional
//!
//! [[test]]
//! as = "ann"
//! action = "create"
//! on = "orders"
//! record = { customer = "ann" }                # as a client sends it: defaults are filled in. With other actions: as it is stored
//! expect = "allowed"
//!
//! [[test]]
//! roles = ["staff"]
//! action = "update"
//! on = "orders/1"
//! change = { status = "paid" }                 # both the stored record and the changed one must pass, and every changed field
//! expect = "allowed"
//! ```
//!
//! In JSON the same names stand in an object: `{"users": {...}, "records": {...}, "test": [...]}`. What the collection itself refuses -
//! required fields, immutable ones, relations that lead nowhere - is not looked at: trials are about policies.

mod read;

mod fixtures;

mod attempt;

mod run;

use std::collections::BTreeMap;

use model::{Action, Principal, value::Object};
use serde::Serialize;

pub use read::parse_trials;
pub use run::run;

use crate::{
    explain::{Decision, PolicyName, Reason},
    role::RoleLink,
};

/// The trials of one file, with what they need. Made by [`parse_trials`].
#[derive(Clone, Debug, PartialEq)]
pub struct Trials {
    file: String,
    users: BTreeMap<String, User>,
    /// By `collection/id`.
    records: BTreeMap<String, Object>,
    trials: Vec<Trial>,
}

impl Trials {
    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How many trials there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trials.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trials.is_empty()
    }
}

/// Somebody whom trials are about.
#[derive(Clone, Debug, PartialEq)]
struct User {
    tenant: String,
    links: Vec<RoleLink>,
    fields: Object,
}

/// One question and the answer that is expected.
#[derive(Clone, Debug, PartialEq)]
struct Trial {
    name: String,
    line: Option<usize>,
    principal: Principal,
    tenant: String,
    links: Vec<RoleLink>,
    action: Action,
    target: Target,
    expected: Expected,
    now: String,
}

/// What a trial is done to.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// A part of the management API.
    System(String),
    /// A collection as a whole.
    Collection(String),
    /// A new record, as a client sends it.
    New { collection: String, record: Object },
    /// A stored record: `collection/id` of the file or one that is given in place, and what is to be changed in it.
    Stored { collection: String, record: Stored, change: Object },
}

#[derive(Clone, Debug, PartialEq)]
enum Stored {
    Named(String),
    Given(Object),
}

#[derive(Clone, Debug, PartialEq)]
struct Expected {
    decision: Decision,
    by: Option<String>,
    reason: Option<Ground>,
    fields: Vec<String>,
    hidden: Vec<String>,
}

/// Why something was decided, seen as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    Reason(Reason),
}

impl Ground {
    const ALL: [Ground; 6] = [
        Ground::Reason(Reason::AllowedBy),
        Ground::Reason(Reason::DeniedBy),
        Ground::Reason(Reason::NoPolicy),
        Ground::Reason(Reason::NoConditionHolds),
        Ground::Reason(Reason::DependsOnRecord),
        Ground::Reason(Reason::FieldForbidden),
    ];

    fn name(self) -> &'static str {
        match self {
            Ground::Reason(Reason::AllowedBy) => "allowed_by",
            Ground::Reason(Reason::DeniedBy) => "denied_by",
            Ground::Reason(Reason::NoPolicy) => "no_policy",
            Ground::Reason(Reason::NoConditionHolds) => "no_condition_holds",
            Ground::Reason(Reason::DependsOnRecord) => "depends_on_record",
            Ground::Reason(Reason::System) => "system",
            Ground::Reason(Reason::EngineFailed) => "engine_failed",
            Ground::Reason(Reason::FieldForbidden) => "field_forbidden",
        }
    }
}

/// Why a file of trials was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}{}{}: {reason}", place(*line), about(test.as_deref()))]
pub struct TrialError {
    /// The file, as it was named.
    pub file: String,
    /// The line, counted from 1, where it is known; that of a test is the one on which it begins.
    pub line: Option<usize>,
    /// The name of the test, if it is about one.
    pub test: Option<String>,
    /// What is wrong, in words.
    pub reason: String,
}

fn place(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(":{line}"))
}

fn about(test: Option<&str>) -> String {
    test.map_or_else(String::new, |test| format!(": test `{test}`"))
}

/// How trials went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One for each trial, in the order of the files, and one for each record of a file that does not fit its collection.
    pub results: Vec<TrialResult>,
    /// Which policies have taken part.
    pub coverage: Coverage,
}

impl Report {
    /// True if every trial came out as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.results.iter().all(|result| result.passed)
    }
}

/// How one trial went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrialResult {
    /// The file.
    pub file: String,
    /// The line on which the trial begins, where it is known.
    pub line: Option<usize>,
    /// Its name.
    pub name: String,
    /// True if it came out as expected.
    pub passed: bool,
    /// What was different, and why; none if it passed.
    pub message: Option<String>,
}

/// Which policies trials have tried: those that decided, and those that matched and whose condition was true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// How many policies there are.
    pub policies: usize,
    /// How many of them took part.
    pub covered: usize,
    /// The others; files first.
    pub uncovered: Vec<PolicyName>,
}

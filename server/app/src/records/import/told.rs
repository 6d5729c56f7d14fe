//! What is told about rows that are refused: short, because it is kept with the import, and a value may be long.

use serde::{Deserialize, Serialize};

use super::rows::Row;
use crate::{Error, api::problem};

/// How many reasons of a row are told, and how many characters of each.
const REASONS_MAX: usize = 5;
const REASON_LENGTH_MAX: usize = 300;

/// Why a row was refused, as it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    line: u64,
    code: String,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Reason>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reason {
    pointer: String,
    code: String,
    message: String,
}

impl Told {
    pub(super) fn sentence(&self) -> String {
        let first = self.errors.first().map_or(&self.message, |reason| &reason.message);
        format!("line {}: {first}", self.line)
    }

    /// Each reason with the pointer into the row.
    pub(super) fn parts(&self) -> Vec<(&str, &str, &str)> {
        match self.errors.is_empty() {
            true => vec![("", &self.code, &self.message)],
            false => self.errors.iter().map(|one| (one.pointer.as_str(), one.code.as_str(), one.message.as_str())).collect(),
        }
    }
}

/// What is said about a row that is refused.
pub(super) fn told(row: &Row, error: &Error) -> Told {
    let short = |text: String| text.chars().take(REASON_LENGTH_MAX).collect::<String>();
    let (code, violations) = problem::told(error);
    let reasons = violations.iter().flat_map(|violations| &violations.0).take(REASONS_MAX);
    let reason = |one: &model::Violation| Reason {
        pointer: short(one.pointer.as_str().to_owned()),
        code: one.code.clone(),
        message: short(one.message.clone()),
    };
    Told { line: row.line, code: code.to_owned(), message: short(error.to_string()), errors: reasons.map(reason).collect() }
}

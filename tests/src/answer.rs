//! What the server answered, and the shapes that every answer must have.

use serde_json::Value;

/// An answer that has arrived as a whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked, for messages.
    pub request: String,
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub json: Value,
}

impl Answer {
    /// A header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header that must be there.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn expect_header(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no header `{name}` in {self}"))
    }

    /// True for 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer again, if it has this status.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The JSON body of an answer with this status.
    ///
    /// # Panics
    /// When it has another status or no JSON.
    #[must_use]
    #[track_caller]
    pub fn json(self, status: u16) -> Value {
        let answer = self.expect(status);
        assert!(!answer.json.is_null(), "no JSON: {answer}");
        answer.json
    }

    /// The JSON array of a list.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn list(self) -> Vec<Value> {
        let answer = self.expect(200);
        let Value::Array(records) = answer.json else { panic!("a list is a JSON array: {}", answer.text) };
        records
    }

    /// A refusal with this status and code, in the form that every refusal has.
    ///
    /// # Panics
    /// When anything about it differs.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Problem {
        let problem = self.any_problem();
        assert_eq!((problem.answer.status, problem.code()), (status, code), "{}", problem.answer);
        problem
    }

    /// A refusal of any kind, in the form that every refusal has (RFC 9457).
    ///
    /// # Panics
    /// When it is none, or lacks one of its members.
    #[track_caller]
    pub fn any_problem(self) -> Problem {
        assert!(self.status >= 400, "not refused: {self}");
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "`{kind}` is not problem+json: {self}");
        assert_eq!(self.json["status"], self.status, "{self}");
        for member in ["type", "title", "code", "message", "request_id"] {
            let filled = self.json[member].as_str().is_some_and(|text| !text.is_empty());
            assert!(filled, "no `{member}`: {self}");
        }
        assert_eq!(self.header("x-request-id"), self.json["request_id"].as_str(), "{self}");
        let errors = self.json["errors"].as_array().cloned().unwrap_or_default();
        for error in &errors {
            let complete = ["pointer", "code", "message"].iter().all(|member| error[*member].is_string());
            assert!(complete, "an entry of `errors` is not complete: {self}");
        }
        let errors = errors.iter().map(|error| format!("{} {}", text(error, "pointer"), text(error, "code"))).collect();
        Problem { answer: self, errors }
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} answered {} {:?}\n{}", self.request, self.status, self.headers, self.text)
    }
}

/// A refusal in the right form.
#[derive(Clone, Debug)]
pub struct Problem {
    /// As it came.
    pub answer: Answer,
    /// Its entries as `pointer code`.
    pub errors: Vec<String>,
}

impl Problem {
    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        text(&self.answer.json, "code")
    }

    /// Its sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        text(&self.answer.json, "message")
    }

    /// Checks that the only thing wrong is a field of this query parameter that the caller may not read.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn unreadable(self, parameter: &str) -> Self {
        assert_eq!(self.answer.status, 403, "{}", self.answer);
        self.errors(&[&format!("/{parameter} field.unreadable")])
    }

    /// Checks that these are its entries, written `pointer code`, in any order.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    pub fn errors(self, expected: &[&str]) -> Self {
        let mut found: Vec<&str> = self.errors.iter().map(String::as_str).collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{}", self.answer);
        self
    }

    /// Checks that there is an entry for this pointer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn at(self, pointer: &str) -> Self {
        let there = self.errors.iter().any(|error| error.split(' ').next() == Some(pointer));
        assert!(there, "nothing at `{pointer}`: {}", self.answer);
        self
    }
}

//! The last few of what a rule logged, how it failed and which runs were recorded: so many of each, and so many bytes.

use std::{collections::VecDeque, sync::Arc};

use plugins::{Event, LogLevel, LogLine, Refusal, Run};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    recorded::{Detail, detail, micros, raw},
    rule::Ended,
};
use crate::plugins::Installed;

/// About what an item takes beside its texts.
const ITEM_BYTES: usize = 256;

/// Bytes of the message and of the stack of a failure.
const TEXT_MAX_BYTES: usize = 4 << 10;

/// Which rule, in which code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Source {
    pub(crate) version: String,
    /// The beginning of the component's digest.
    pub(crate) digest: String,
    pub(crate) rule: String,
    /// `active`, or `shadow` for a version that is only watched.
    pub(crate) mode: &'static str,
}

/// What happened, in the words that all three kinds share.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Occasion {
    pub(crate) at: Arc<str>,
    /// The id of the request.
    pub(crate) request: Arc<str>,
    #[serde(flatten)]
    pub(crate) source: Arc<Source>,
}

/// A line of a rule's log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    #[serde(flatten)]
    pub(crate) occasion: Occasion,
    pub(crate) level: LogLevel,
    pub(crate) message: String,
    pub(crate) fields: Box<RawValue>,
}

/// What a rule was asked about, without the records.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Question {
    pub(crate) hook: Option<&'static str>,
    pub(crate) operation: Option<String>,
    pub(crate) collection: Option<String>,
    /// The id of the record.
    pub(crate) record: Option<String>,
}

/// A run that gave no answer that counts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failed {
    #[serde(flatten)]
    pub(crate) occasion: Occasion,
    #[serde(flatten)]
    pub(crate) question: Question,
    /// Begins with `plugin.`.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Where in the guest.
    pub(crate) stack: Option<String>,
}

/// A run that can be looked at and run again.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Recorded {
    #[serde(flatten)]
    pub(crate) occasion: Occasion,
    #[serde(flatten)]
    pub(crate) question: Question,
    #[serde(flatten)]
    pub(super) ended: Ended,
    pub(crate) elapsed_us: u64,
    /// Secret settings were taken out, so running it again needs them.
    pub(crate) redacted: bool,
    /// It was too long: the end of the transcript is missing, or all of it.
    pub(crate) truncated: bool,
    /// The event, the transcript, the result and the log.
    #[serde(skip)]
    pub(crate) detail: Box<RawValue>,
}

/// What is to be kept of one run, each with about the bytes that it takes.
pub(super) struct Keep {
    pub(super) lines: Vec<(usize, Line)>,
    pub(super) failure: Option<(usize, Failed)>,
    pub(super) run: Option<(usize, Recorded)>,
}

impl Keep {
    /// Puts it together. The run itself is kept if it is said how it ended.
    pub(super) fn of(occasion: &Occasion, installed: &Installed, event: Option<&Event>, run: &Run, ended: Option<Ended>) -> Self {
        let mut keep = Self { lines: Vec::new(), failure: None, run: None };
        let failure = if let Err(Refusal::Failed(failure)) = &run.result { Some(failure) } else { None };
        if run.logs.is_empty() && failure.is_none() && ended.is_none() {
            return keep;
        }
        let secrets = &installed.secrets;
        let line = |line: &LogLine| {
            let (message, fields) = (secrets.without(line.message.clone()).0, raw(&secrets.without(line.fields.clone()).0));
            let bytes = ITEM_BYTES + message.len() + fields.get().len();
            (bytes, Line { occasion: occasion.clone(), level: line.level, message, fields })
        };
        keep.lines = run.logs.iter().map(line).collect();
        keep.failure = failure.map(|failure| {
            // Secrets first: half of one would not be found.
            let told = |text: &str| cut(secrets.without(text.to_owned()).0);
            let (message, stack) = (told(&failure.message), failure.stack.as_deref().map(told));
            let bytes = ITEM_BYTES + message.len() + stack.as_ref().map_or(0, String::len);
            (bytes, Failed { occasion: occasion.clone(), question: Question::of(event), code: failure.code, message, stack })
        });
        keep.run = ended.zip(event).map(|(ended, event)| {
            let Detail { json: detail, redacted, truncated } = detail(event, run, secrets);
            let (elapsed_us, occasion, question) = (micros(run.elapsed), occasion.clone(), Question::of(Some(event)));
            (ITEM_BYTES + detail.get().len(), Recorded { occasion, question, ended, elapsed_us, redacted, truncated, detail })
        });
        keep
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.lines.is_empty() && self.failure.is_none() && self.run.is_none()
    }
}

impl Question {
    fn of(event: Option<&Event>) -> Self {
        let Some(event) = event else { return Self::default() };
        let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (operation, collection, record) = (named(&event.operation), named(&event.collection), named(&event.id));
        Self { hook: Some(event.hook.as_str()), operation, collection, record }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
    text
}

/// One of the last few, with the number that orders everything that is kept of a plugin.
#[derive(Debug, Serialize)]
pub(crate) struct Numbered<T> {
    pub(crate) seq: u64,
    #[serde(flatten)]
    pub(crate) item: Arc<T>,
}

// By hand: what an `Arc` points to need not be cloned.
impl<T> Clone for Numbered<T> {
    fn clone(&self) -> Self {
        Self { seq: self.seq, item: Arc::clone(&self.item) }
    }
}

/// The last few.
#[derive(Debug)]
pub(super) struct Ring<T> {
    items: VecDeque<(usize, Numbered<T>)>,
    bytes: usize,
    items_max: usize,
    bytes_max: usize,
}

impl<T> Ring<T> {
    pub(super) fn new(items_max: usize, bytes_max: usize) -> Self {
        Self { items: VecDeque::new(), bytes: 0, items_max, bytes_max }
    }

    /// Keeps one more, and forgets the oldest for it where there is no room. One that is too large on its own is not kept.
    pub(super) fn push(&mut self, seq: u64, bytes: usize, item: Arc<T>) {
        if bytes > self.bytes_max {
            return;
        }
        self.items.push_back((bytes, Numbered { seq, item }));
        self.bytes += bytes;
        while self.items.len() > self.items_max || self.bytes > self.bytes_max {
            self.bytes -= self.items.pop_front().map_or(self.bytes, |(bytes, _)| bytes);
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Numbered<T>> {
        self.items.iter().map(|(_, item)| item)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.items = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ring: &Ring<&str>) -> Vec<u64> {
        ring.iter().map(|one| one.seq).collect()
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut ring = Ring::new(2, 100);
        (1..=3).for_each(|seq| ring.push(seq, 10, Arc::new("x")));
        assert_eq!((kept(&ring), ring.bytes()), (vec![2, 3], 20));
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large() {
        let mut ring = Ring::new(10, 100);
        for (seq, bytes) in [(1, 40), (2, 40), (3, 90), (4, 10)] {
            ring.push(seq, bytes, Arc::new("x"));
        }
        assert_eq!((kept(&ring), ring.bytes()), (vec![3, 4], 100));
    }

    #[test]
    fn one_that_is_too_large_alone_displaces_nothing() {
        let mut ring = Ring::new(10, 100);
        ring.push(1, 10, Arc::new("x"));
        ring.push(2, 101, Arc::new("x"));
        assert_eq!(kept(&ring), [1]);
        ring.clear();
        assert_eq!((kept(&ring), ring.bytes()), (vec![], 0));
    }
}

//! Taking a file apart into rows while it arrives. A row keeps the bytes that it was written with, ends of lines included, so that all rows
//! together are the file, and the place behind one can be found again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use model::{Collection, Draft, Pointer, Violation, Violations};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    super::{
        csv::{self, Cell, Fault, Reader, Taken},
        export::Format,
    },
    Source,
    progress::Import,
};
use crate::{Error, config::Config};

/// How long a client may take for one row: one that sends a byte now and then would keep an import busy for ever.
const ROW_WITHIN: Duration = Duration::from_secs(30);

/// How long rows that are there wait for more to come.
const MORE_WITHIN: Duration = Duration::from_secs(1);

/// Bytes of rows that are written together at most.
const CHUNK_BYTES: usize = 1 << 20;

/// The code of the error for a file that is not the one that was begun.
pub(super) const OTHER_FILE: &str = "import.other_file";

/// What CSV may begin with, from programs that cannot do without.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One row.
pub(super) struct Row {
    /// The line that it begins on, from 1.
    pub(super) line: u64,
    /// The line on which what follows it begins.
    pub(super) next_line: u64,
    /// Its bytes, and those of empty lines before it.
    pub(super) raw: Bytes,
    /// What it says.
    pub(super) draft: Result<Draft, Violation>,
}

/// The rows of a file.
pub(super) struct Rows<'a> {
    source: &'a mut Source,
    format: Format,
    reader: Reader,
    columns: Vec<String>,
    /// The bytes of the row that has the names, until the first row behind it is there.
    header: Bytes,
    /// What has arrived and belongs to no row yet, and how much of it the reader has seen.
    buffer: BytesMut,
    position: usize,
    ended: bool,
    /// What ends the file behind the rows that were given out last.
    failed: Option<Error>,
    /// The line on which the buffer begins.
    line: u64,
    received: u64,
    file_max: u64,
    row_max: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(config: &Config, format: Format, source: &'a mut Source) -> Self {
        let (file_max, row_max) = (config.import_max_bytes, config.body_max_bytes);
        let (reader, buffer) = (Reader::new(), BytesMut::new());
        let (columns, header) = (Vec::new(), Bytes::new());
        Self {
            source,
            format,
            reader,
            columns,
            header,
            buffer,
            position: 0,
            ended: false,
            failed: None,
            line: 1,
            received: 0,
            file_max,
            row_max,
        }
    }

    /// The names in the first row of CSV.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Passes over what an import has taken already. It must come again as it was.
    ///
    /// # Errors
    /// Another file, or what the client does.
    pub(super) async fn resume(&mut self, import: &mut Import) -> Result<(), Error> {
        let mut left = usize::try_from(import.bytes).unwrap_or(usize::MAX);
        while left > 0 {
            if self.buffer.is_empty() && !self.fetch(Instant::now() + ROW_WITHIN).await? {
                return Err(other_file());
            }
            let known = self.buffer.split_to(self.buffer.len().min(left));
            import.hasher.update(&known);
            left -= known.len();
        }
        if import.hasher.finalize().to_hex().as_str() != import.digest {
            return Err(other_file());
        }
        self.line = import.next_line;
        // The names are taken with the first row: without it they come again.
        if import.bytes > 0 {
            self.columns.clone_from(&import.columns);
        }
        Ok(())
    }

    /// Reads a file to its end that an import has taken whole. It must be the same.
    ///
    /// # Errors
    /// Another file, or what the client does.
    pub(super) async fn compare(&mut self, import: &Import) -> Result<(), Error> {
        let mut hasher = blake3::Hasher::new();
        while self.fetch(Instant::now() + ROW_WITHIN).await? {
            hasher.update(&self.buffer.split());
        }
        if hasher.finalize().to_hex().as_str() == import.digest { Ok(()) } else { Err(other_file()) }
    }

    /// The next rows, at most so many; none at the end of the file.
    ///
    /// # Errors
    /// What the client does: too much, too slowly, or nothing any more.
    pub(super) async fn chunk(&mut self, collection: &Collection, rows_max: usize) -> Result<Vec<Row>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut rows = Vec::new();
        match self.fill(collection, rows_max, &mut rows).await {
            // The rows that are there come first.
            Err(error) if !rows.is_empty() => self.failed = Some(error),
            filled => filled?,
        }
        Ok(rows)
    }

    async fn fill(&mut self, collection: &Collection, rows_max: usize, rows: &mut Vec<Row>) -> Result<(), Error> {
        let (mut bytes, mut deadline) = (0, Instant::now() + ROW_WITHIN);
        while rows.len() < rows_max && bytes < CHUNK_BYTES {
            if let Some(row) = self.parse(collection)? {
                bytes += row.raw.len();
                rows.push(row);
                deadline = Instant::now() + ROW_WITHIN;
            } else if self.ended {
                break;
            } else if rows.is_empty() {
                self.fetch(deadline).await?;
            } else {
                match timeout(MORE_WITHIN, self.fetch(deadline)).await {
                    Ok(fetched) => drop(fetched?),
                    Err(_) => break,
                }
            }
        }
        Ok(())
    }

    /// Waits for more; false at the end. Whoever stops waiting loses nothing.
    async fn fetch(&mut self, deadline: Instant) -> Result<bool, Error> {
        let next = timeout_at(deadline, self.source.next()).await;
        let late = |_| Error::Body(Violation::new(Pointer::root(), "body.timeout", "a row took too long to arrive"));
        let Some(bytes) = next.map_err(late)?.transpose()? else {
            self.ended = true;
            return Ok(false);
        };
        self.received += bytes.len() as u64;
        if self.received > self.file_max {
            return Err(Error::BodyTooLarge { max: usize::try_from(self.file_max).unwrap_or(usize::MAX) });
        }
        self.buffer.extend_from_slice(&bytes);
        Ok(true)
    }

    /// The next row, if all of it is there.
    fn parse(&mut self, collection: &Collection) -> Result<Option<Row>, Error> {
        let row = match self.format {
            Format::Ndjson => self.parse_line(),
            Format::Csv => self.parse_cells(collection)?,
        };
        match row {
            None if self.buffer.len() > self.row_max => Err(self.row_too_large(self.line)),
            Some(row) if row.raw.len() > self.row_max => Err(self.row_too_large(row.line)),
            row => Ok(row),
        }
    }

    fn row_too_large(&self, line: u64) -> Error {
        let mut violations = Violations::default();
        violations.add(Pointer::root().join(line), "row.too_large", format!("the row at line {line} has more than {} bytes", self.row_max));
        Error::RowTooLarge { max: self.row_max, violations }
    }

    /// What came after the last row: the row that has the names if there is no other, and ends of lines.
    pub(super) fn rest(&self) -> [&[u8]; 2] {
        [&self.header, &self.buffer]
    }

    /// The line that holds something, with the empty ones before it.
    fn parse_line(&mut self) -> Option<Row> {
        loop {
            let (begin, rest) = (self.position, &self.buffer[self.position..]);
            let end = match rest.iter().position(|byte| *byte == b'\n') {
                Some(at) => begin + at + 1,
                None if self.ended && !rest.is_empty() => self.buffer.len(),
                None => return None,
            };
            if self.buffer[begin..end].trim_ascii().is_empty() {
                self.position = end;
                continue;
            }
            let raw = self.buffer.split_to(end).freeze();
            self.position = 0;
            let line = self.line + newlines(&raw[..begin]);
            self.line = line + 1;
            let text = raw[begin..].strip_prefix(BYTE_ORDER_MARK).filter(|_| line == 1).unwrap_or(&raw[begin..]);
            let draft = Draft::parse(text);
            return Some(Row { line, next_line: self.line, raw, draft });
        }
    }

    /// The next row of CSV. The bytes of the one that has the names go with the first one behind it.
    fn parse_cells(&mut self, collection: &Collection) -> Result<Option<Row>, Error> {
        if self.columns.is_empty() && self.position == 0 {
            if self.buffer.len() < BYTE_ORDER_MARK.len() && !self.ended {
                return Ok(None);
            }
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.position = BYTE_ORDER_MARK.len();
            }
        }
        loop {
            let Taken::Row(cells) = self.reader.take(&self.buffer, &mut self.position, self.ended) else { return Ok(None) };
            let bytes = self.buffer.split_to(self.position).freeze();
            self.position = 0;
            let begin = bytes.iter().take_while(|byte| b"\r\n".contains(byte)).count();
            let line = self.line + newlines(&bytes[..begin]);
            self.line += newlines(&bytes);
            if self.columns.is_empty() {
                self.columns = header(collection, cells)?;
                self.header = bytes;
                continue;
            }
            let draft = draft(collection, &self.columns, cells);
            let header = std::mem::take(&mut self.header);
            let raw = if header.is_empty() { bytes } else { Bytes::from([header, bytes].concat()) };
            return Ok(Some(Row { line, next_line: self.line, raw, draft }));
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The names of the columns: fields of the collection, each once.
fn header(collection: &Collection, cells: Result<Vec<Cell>, Fault>) -> Result<Vec<String>, Error> {
    let cells = cells.map_err(|fault| Error::Body(malformed(fault)))?;
    let names: Vec<String> = cells.into_iter().map(|cell| cell.text.trim().to_owned()).collect();
    let mut violations = Violations::default();
    for (index, name) in names.iter().enumerate() {
        if let Some(fault) = csv::column_fault(collection, name) {
            violations.add(Pointer::field(name), "field.unknown", fault);
        } else if names[..index].contains(name) {
            violations.add(Pointer::field(name), "field.duplicate", format!("there are two columns `{name}`"));
        }
    }
    violations.or(names).map_err(|violations| Error::Unacceptable { kind: "import", violations })
}

/// What the cells of a row say.
fn draft(collection: &Collection, columns: &[String], cells: Result<Vec<Cell>, Fault>) -> Result<Draft, Violation> {
    let cells = cells.map_err(malformed)?;
    if cells.len() != columns.len() {
        let message = format!("the row has {} cells, the first row has {}", cells.len(), columns.len());
        return Err(Violation::new(Pointer::root(), "row.cells", message));
    }
    let mut draft = Draft::default();
    for (name, cell) in columns.iter().zip(&cells) {
        if let Some(value) = csv::value_of(collection.field(name), cell) {
            draft.values.insert(name.clone(), value);
        }
    }
    Ok(draft)
}

fn malformed(fault: Fault) -> Violation {
    let message = match fault {
        Fault::Encoding => "the row is not UTF-8",
        Fault::Unclosed => "a quoted cell is not closed",
        Fault::BehindQuote => "a quoted cell goes on behind its closing quote; a quote inside of one is written twice",
    };
    Violation::new(Pointer::root(), "body.malformed", message)
}

fn other_file() -> Error {
    Error::ImportRefused { code: OTHER_FILE, message: "this is not the file that the import was begun with" }
}

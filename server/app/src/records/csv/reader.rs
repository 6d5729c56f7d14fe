//! Taking CSV apart as it arrives, with `csv-core`. Beside the text of a cell it says whether the cell was in quotes, which tells an empty text
//! from nothing, and how many bytes belong to a row, which lets an import go on exactly behind one.

use csv_core::ReadFieldResult;

/// One cell of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::records) struct Cell {
    pub(in crate::records) text: String,
    /// It was written in quotes.
    pub(in crate::records) quoted: bool,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::records) enum Taken {
    /// All of them belong to a row that goes on.
    More,
    /// A row ends behind the position.
    Row(Result<Vec<Cell>, Fault>),
    /// There are no more rows.
    End,
}

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::records) enum Fault {
    /// A cell is not UTF-8.
    Encoding,
    /// The file ends inside the quotes of a cell.
    Unclosed,
    /// There is text behind the closing quote of a cell.
    BehindQuote,
}

/// Where a cell stands with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// It does not begin with one; those in it are text.
    Without,
    /// The closing one has not come.
    Open,
    /// The closing one has come, unless another follows.
    Closed,
    /// The closing one was followed by text.
    Passed,
}

impl Quotes {
    fn behind(self, byte: u8) -> Self {
        match (self, byte) {
            (Quotes::Open, b'"') | (Quotes::Closed, b',' | b'\r' | b'\n') => Quotes::Closed,
            (Quotes::Closed, b'"') => Quotes::Open,
            (Quotes::Closed, _) => Quotes::Passed,
            (Quotes::Without | Quotes::Open | Quotes::Passed, _) => self,
        }
    }
}

/// Reads rows out of bytes that come in pieces.
pub(in crate::records) struct Reader {
    core: csv_core::Reader,
    cells: Vec<(Vec<u8>, Quotes)>,
    /// The cell that is being read, and its quotes once something of it has come.
    cell: Vec<u8>,
    quotes: Option<Quotes>,
}

impl Reader {
    /// A reader at the beginning of a row.
    pub(in crate::records) fn new() -> Self {
        Self { core: csv_core::Reader::new(), cells: Vec::new(), cell: Vec::new(), quotes: None }
    }

    /// Reads on from `position`, which moves behind what was taken. `ended` says that nothing comes after these bytes.
    pub(in crate::records) fn take(&mut self, bytes: &[u8], position: &mut usize, ended: bool) -> Taken {
        let mut output = [0; 4096];
        loop {
            let (rest, mut begin) = (&bytes[*position..], 0);
            if self.quotes.is_none() {
                // Between rows there may be the rest of a line end, and empty lines.
                let skipped = if self.cells.is_empty() { rest.iter().take_while(|byte| b"\r\n".contains(byte)).count() } else { 0 };
                match rest.get(skipped) {
                    Some(b'"') => (self.quotes, begin) = (Some(Quotes::Open), skipped + 1),
                    Some(_) => self.quotes = Some(Quotes::Without),
                    None if ended => {}
                    None => return Taken::More,
                }
            }
            if rest.is_empty() && !ended {
                return Taken::More;
            }
            let (result, read, written) = self.core.read_field(rest, &mut output);
            *position += read;
            self.cell.extend(&output[..written]);
            let taken = rest.get(begin..read).unwrap_or_default();
            self.quotes = self.quotes.map(|quotes| taken.iter().fold(quotes, |quotes, byte| quotes.behind(*byte)));
            match result {
                ReadFieldResult::InputEmpty if ended && rest.is_empty() => return Taken::End,
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    self.cells.push((std::mem::take(&mut self.cell), self.quotes.take().unwrap_or(Quotes::Without)));
                    if record_end {
                        return Taken::Row(texts(std::mem::take(&mut self.cells)));
                    }
                }
                ReadFieldResult::End => return Taken::End,
            }
        }
    }
}

fn texts(cells: Vec<(Vec<u8>, Quotes)>) -> Result<Vec<Cell>, Fault> {
    cells.into_iter().map(|(bytes, quotes)| cell(bytes, quotes)).collect()
}

fn cell(bytes: Vec<u8>, quotes: Quotes) -> Result<Cell, Fault> {
    let quoted = match quotes {
        Quotes::Without => false,
        Quotes::Closed => true,
        Quotes::Open => return Err(Fault::Unclosed),
        Quotes::Passed => return Err(Fault::BehindQuote),
    };
    Ok(Cell { text: String::from_utf8(bytes).map_err(|_| Fault::Encoding)?, quoted })
}

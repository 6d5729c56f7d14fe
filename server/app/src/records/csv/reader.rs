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
    /// A row ends behind the position; none if what it holds is not UTF-8.
    Row(Option<Vec<Cell>>),
    /// There are no more rows.
    End,
}

/// Reads rows out of bytes that come in pieces.
pub(in crate::records) struct Reader {
    core: csv_core::Reader,
    cells: Vec<(Vec<u8>, bool)>,
    /// The cell that is being read.
    cell: Vec<u8>,
    quoted: Option<bool>,
}

impl Reader {
    /// A reader at the beginning of a row.
    pub(in crate::records) fn new() -> Self {
        Self { core: csv_core::Reader::new(), cells: Vec::new(), cell: Vec::new(), quoted: None }
    }

    /// Reads on from `position`, which moves behind what was taken. `ended` says that nothing comes after these bytes.
    pub(in crate::records) fn take(&mut self, bytes: &[u8], position: &mut usize, ended: bool) -> Taken {
        let mut output = [0; 4096];
        loop {
            let rest = &bytes[*position..];
            if self.quoted.is_none() {
                // Between rows there may be the rest of a line end, and empty lines.
                let skipped = if self.cells.is_empty() { rest.iter().take_while(|byte| b"\r\n".contains(byte)).count() } else { 0 };
                match rest.get(skipped) {
                    Some(byte) => self.quoted = Some(*byte == b'"'),
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
            match result {
                ReadFieldResult::InputEmpty if ended && rest.is_empty() => return Taken::End,
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end } => {
                    self.cells.push((std::mem::take(&mut self.cell), self.quoted.take().unwrap_or_default()));
                    if record_end {
                        return Taken::Row(texts(std::mem::take(&mut self.cells)));
                    }
                }
                ReadFieldResult::End => return Taken::End,
            }
        }
    }
}

fn texts(cells: Vec<(Vec<u8>, bool)>) -> Option<Vec<Cell>> {
    let cell = |(bytes, quoted): (Vec<u8>, bool)| Some(Cell { text: String::from_utf8(bytes).ok()?, quoted });
    cells.into_iter().map(cell).collect()
}

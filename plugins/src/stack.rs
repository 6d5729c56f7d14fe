//! Where in the guest it went wrong, in the author's words as far as they are known: what a panic or an exception said, the
//! functions that ran, and the lines of the author's own files when the component brings a source map.

use std::sync::OnceLock;

use sourcemap::SourceMap;
use wasmparser::{Parser, Payload};
use wasmtime::WasmBacktrace;

use crate::run::{LogLevel, LogLine};

/// The custom section of a component with the source map of its JavaScript.
pub(crate) const SECTION: &str = "ironrule:source-map";

/// Modules that are part of every JavaScript plugin and of no author's source map.
const SDK: &str = "/ironrule/";
const STACK_MAX_BYTES: usize = 4 << 10;
const FRAMES_MAX: usize = 16;
const MAP_MAX_BYTES: usize = 8 << 20;

/// The source map of a component, read when it is first needed.
#[derive(Default)]
pub(crate) struct Lines {
    text: Vec<u8>,
    map: OnceLock<Option<SourceMap>>,
}

impl Lines {
    /// The source map that the component brings, if any. Whatever is wrong with it costs readable stacks, nothing else.
    pub(crate) fn of(wasm: &[u8]) -> Self {
        let payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
        let mut sections = payloads.filter_map(|payload| match payload {
            Payload::CustomSection(section) if section.name() == SECTION => Some(section.data()),
            _ => None,
        });
        let text = sections.next().filter(|text| text.len() <= MAP_MAX_BYTES).unwrap_or_default();
        Self { text: text.to_vec(), map: OnceLock::new() }
    }

    /// The same text with every position of the generated file (`bundle.js:169:29`) as one of the author's file.
    fn mapped(&self, text: &str) -> String {
        let Some(map) = self.map() else { return text.to_owned() };
        let mut mapped = String::with_capacity(text.len());
        for token in text.split_inclusive(|letter: char| letter.is_whitespace() || "()".contains(letter)) {
            let end = token.trim_end_matches(|letter: char| letter.is_whitespace() || "()".contains(letter)).len();
            let (position, rest) = token.split_at(end);
            mapped.push_str(&original(map, position).unwrap_or_else(|| position.to_owned()));
            mapped.push_str(rest);
        }
        mapped
    }

    fn map(&self) -> Option<&SourceMap> {
        let read = || SourceMap::from_slice(&self.text).ok().filter(|_| !self.text.is_empty());
        self.map.get_or_init(read).as_ref()
    }
}

/// `bundle.js:169:29`, both counted from one, in the author's file.
fn original(map: &SourceMap, position: &str) -> Option<String> {
    let (rest, column) = position.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    let (line, column): (u32, u32) = (line.parse().ok()?, column.parse().ok()?);
    if !file.ends_with("js") || file.starts_with(SDK) {
        return None;
    }
    let token = map.lookup_token(line.checked_sub(1)?, column.saturating_sub(1))?;
    Some(format!("{}:{}:{}", token.get_source()?, token.get_src_line() + 1, token.get_src_col() + 1))
}

/// The stack of a guest that was ended: what its language runtime wrote to standard error, or what its panic said and the
/// functions that ran.
pub(crate) fn of_trap(error: &wasmtime::Error, logs: &[LogLine], written: &str, lines: &Lines) -> Option<String> {
    if !written.trim().is_empty() {
        return Some(of_text(written, lines));
    }
    let panic = logs.last().filter(|line| line.level == LogLevel::Error).map(|line| line.message.clone());
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::to_string).unwrap_or_default();
    // the first line is a headline
    let frames = frames.lines().skip(1).take(FRAMES_MAX).map(|frame| frame.trim_end().to_owned());
    let text = panic.into_iter().chain(frames).collect::<Vec<_>>().join("\n");
    (!text.is_empty()).then(|| cut(text))
}

/// A stack that the guest has written itself.
pub(crate) fn of_text(text: &str, lines: &Lines) -> String {
    cut(lines.mapped(text.trim_end()))
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(STACK_MAX_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line 1, column 5 of the bundle is line 12, column 9 of `order.ts`.
    fn lines() -> Lines {
        let mut builder = sourcemap::SourceMapBuilder::new(Some("bundle.js"));
        builder.add(0, 4, 11, 8, Some("src/order.ts"), None, false);
        let mut text = Vec::new();
        builder.into_sourcemap().to_writer(&mut text).expect("a source map is JSON");
        Lines { text, map: OnceLock::new() }
    }

    #[test]
    fn positions_become_those_of_the_author() {
        let thrown = "TypeError: x\n    at place (bundle.js:1:5)\n    at bundle.js:1:7\n";
        assert_eq!(of_text(thrown, &lines()), "TypeError: x\n    at place (src/order.ts:12:9)\n    at src/order.ts:12:9");
    }

    #[test]
    fn what_is_no_position_stays() {
        for text in [
            "at 12:30:45",
            "order.js:0:1",
            "bundle.js:x:1",
            ":::",
            "(",
            "",
            "bundle.js:99999999999:1",
            "native code",
            "at run (/ironrule/rules.js:1:5)",
        ] {
            assert_eq!(of_text(text, &lines()), text);
        }
        assert_eq!(of_text("bundle.js:1:5", &Lines::default()), "bundle.js:1:5");
    }

    #[test]
    fn a_map_is_found_in_its_section() {
        let mut component = wasm_encoder::Component::new();
        component.section(&wasm_encoder::CustomSection { name: SECTION.into(), data: lines().text.as_slice().into() });
        assert_eq!(of_text("bundle.js:1:5", &Lines::of(&component.finish())), "src/order.ts:12:9");
        assert!(Lines::of(b"(component)").text.is_empty());
        assert!(Lines::of(b"\0asm").map().is_none());
    }

    #[test]
    fn a_broken_map_is_none() {
        let broken = Lines { text: b"{}garbage".to_vec(), map: OnceLock::new() };
        assert_eq!(of_text("bundle.js:1:5", &broken), "bundle.js:1:5");
    }
}

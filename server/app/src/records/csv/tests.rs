//! What is written is read back, however it arrives; and what other programs write is understood.

use model::collection::Definition;

use super::*;

fn rows(text: &[u8], piece: usize) -> Vec<Result<Vec<Cell>, Fault>> {
    let (mut reader, mut found, mut position) = (Reader::new(), Vec::new(), 0);
    for end in (piece..text.len()).step_by(piece).chain([text.len()]) {
        while let Taken::Row(row) = reader.take(&text[..end], &mut position, false) {
            found.push(row);
        }
    }
    while let Taken::Row(row) = reader.take(text, &mut position, true) {
        found.push(row);
    }
    assert_eq!(position, text.len());
    found
}

fn check(text: &[u8], expected: &[&[(&str, bool)]]) {
    let cells = |row: &&[(&str, bool)]| Ok(row.iter().map(|(text, quoted)| Cell { text: (*text).to_owned(), quoted: *quoted }).collect());
    let expected: Vec<Result<Vec<Cell>, Fault>> = expected.iter().map(cells).collect();
    for piece in [1, 2, 3, 7, 1000] {
        assert_eq!(rows(text, piece), expected, "{} in pieces of {piece}", String::from_utf8_lossy(text));
    }
}

#[test]
fn rows_are_read_in_any_pieces() {
    check(b"", &[]);
    check(b"\r\n\n", &[]);
    check(b"a,b\r\n1,\r\n", &[&[("a", false), ("b", false)], &[("1", false), ("", false)]]);
    check(b"a,b", &[&[("a", false), ("b", false)]]);
    check(b"a,", &[&[("a", false), ("", false)]]);
    check(b"\"a,\"\"b\"\"\r\nc\",\"\"\n\n,x\n", &[&[("a,\"b\"\r\nc", true), ("", true)], &[("", false), ("x", false)]]);
    check(b"a\rb\r\rc", &[&[("a", false)], &[("b", false)], &[("c", false)]]);
}

#[test]
fn what_is_not_utf_8_is_one_bad_row() {
    let found = rows(b"a\n\xff\nb\n", 1);
    assert_eq!(found.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn quotes_that_are_not_whole_are_one_bad_row() {
    let check = |text: &str, expected: &[Option<Fault>]| {
        for piece in [1, 2, 3, 7, 1000] {
            let found: Vec<Option<Fault>> = rows(text.as_bytes(), piece).into_iter().map(Result::err).collect();
            assert_eq!(found, expected, "{text} in pieces of {piece}");
        }
    };
    check("a,\"b", &[Some(Fault::Unclosed)]);
    check("a,\"b\"\"", &[Some(Fault::Unclosed)]);
    check("5\" disk,\"b", &[Some(Fault::Unclosed)]);
    check("\"", &[Some(Fault::Unclosed)]);
    check("\"a\"b,c\n\"a\" \nd", &[Some(Fault::BehindQuote), Some(Fault::BehindQuote), None]);
    check("\"a\"b\"\n\"c\"", &[Some(Fault::BehindQuote), None]);
    check("5\" disk,\"b\"\r\n\n\"\",\"\"\"\"\n\"c\"", &[None, None, None]);
}

#[test]
fn long_cells_are_whole() {
    let long = "x".repeat(10_000);
    let found = rows(format!("\"{long}\",y\r\n").as_bytes(), 999);
    assert_eq!(found[0].as_ref().ok().map(|row| (row[0].text.len(), row[1].text.as_str())), Some((10_000, "y")));
}

fn things() -> Collection {
    let definition: Definition = serde_json::from_str(
        r#"{"name":"things","fields":[
            {"name":"title","type":"text"},
            {"name":"must","type":"text","required":true},
            {"name":"count","type":"integer"},
            {"name":"ratio","type":"number"},
            {"name":"price","type":"decimal"},
            {"name":"on","type":"bool"},
            {"name":"tags","type":"select","values":["x","y"],"many":true},
            {"name":"data","type":"json"}
        ]}"#,
    )
    .expect("a definition");
    Collection::new(definition).expect("a collection")
}

#[test]
fn values_come_back_as_they_were() {
    let things = things();
    let check = |field: &str, json: &str, text: &str| {
        let value = match things.field(field).map(|field| field.kind) {
            Some(FieldType::Decimal) => Value::Decimal(json.parse().expect("a decimal")),
            _ => Value::from_json(json.as_bytes()).expect("JSON"),
        };
        let mut row = Vec::new();
        write_row([text_of(things.field(field), &value), Some("end".to_owned())].into_iter(), &mut row);
        assert_eq!(String::from_utf8_lossy(&row), format!("{text},end\r\n"));
        let cells = rows(&row, 1).remove(0).expect("UTF-8");
        let back = value_of(things.field(field), &cells[0]).expect("a value");
        let same = back == value || matches!(&value, Value::Decimal(decimal) if back == Value::from(decimal.to_string()));
        assert!(same, "{field}: {value:?} became {back:?}");
    };
    check("title", "null", "");
    check("title", r#""""#, r#""""#);
    check("title", r#""=1+1""#, "=1+1");
    check("title", r#""null""#, "null");
    check("title", r#""a, \"b\"\nc""#, "\"a, \"\"b\"\"\nc\"");
    check("title", r#"" x ""#, "\" x \"");
    check("count", "-9223372036854775808", "-9223372036854775808");
    check("ratio", "0.1", "0.1");
    check("ratio", "1e300", "1e+300");
    check("price", "4.50", "4.50");
    check("on", "false", "false");
    check("tags", r#"["x","y"]"#, "\"[\"\"x\"\",\"\"y\"\"]\"");
    check("tags", "[]", "[]");
    check("data", r#"{"a":[1,null]}"#, "\"{\"\"a\"\":[1,null]}\"");
    check("data", r#""text""#, "\"\"\"text\"\"\"");
    check("data", r#""""#, "\"\"\"\"\"\"");
}

#[test]
fn cells_of_other_programs_are_understood() {
    let things = things();
    let check = |field: &str, text: &str, quoted: bool, expected: Option<&str>| {
        let value = value_of(things.field(field), &Cell { text: text.to_owned(), quoted });
        assert_eq!(value.map(|value| value.to_json()).as_deref(), expected, "{field} `{text}`");
    };
    check("on", "TRUE", false, Some("true"));
    check("on", "yes", false, Some(r#""yes""#));
    check("count", "7", true, Some("7"));
    check("count", "", true, Some("null"));
    check("count", "seven", false, Some(r#""seven""#));
    check("ratio", "inf", false, Some(r#""inf""#));
    check("must", "", false, None);
    check("must", "", true, Some(r#""""#));
    check("data", "{", false, Some(r#""{""#));
    check("id", "01", false, Some(r#""01""#));
}

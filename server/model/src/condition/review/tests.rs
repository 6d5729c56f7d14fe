//! Tables of what conditions can come out as: those that are always or never true, and honest ones that must not look like it.

use super::*;
use crate::{Field, FieldType, Kind, collection::Definition, condition::Scope};

/// Every type twice: `x_r` is required, `x_o` is optional.
fn things() -> Collection {
    use FieldType as T;
    let kinds = [
        ("text", T::Text),
        ("mail", T::Email),
        ("site", T::Url),
        ("int", T::Integer),
        ("num", T::Number),
        ("dec", T::Decimal),
        ("flag", T::Bool),
        ("at", T::Datetime),
        ("day", T::Date),
        ("pick", T::Select),
        ("picks", T::Select),
        ("data", T::Json),
        ("rel", T::Relation),
        ("rels", T::Relation),
    ];
    let both = kinds.into_iter().flat_map(|(name, kind)| [(name, kind, "o"), (name, kind, "r")]);
    let fields = both.map(|(name, kind, suffix)| Field {
        required: suffix == "r",
        many: matches!(name, "picks" | "rels"),
        values: if kind == T::Select { ["red", "green", "blue"].map(Into::into).into() } else { vec![] },
        collection: (kind == T::Relation).then(|| "users".to_owned()),
        ..Field::new(&format!("{name}_{suffix}"), kind)
    });
    let fields = fields.collect();
    let definition =
        Definition { name: "things".into(), kind: Kind::Base, description: String::new(), fields, indexes: vec![], search: Vec::new() };
    Collection::new(definition).expect("things")
}

/// `T`, `F` and `U` for what is possible, then the paths that are not guarded.
#[track_caller]
fn check(text: &str, expected: &str) {
    let things = things();
    let condition = Condition::parse(text, Scope::Policy).expect(text).check(&things).expect(text);
    let review = condition.review(&things);
    let possible = [(review.can_be_true, "T"), (review.can_be_false, "F"), (review.can_be_unknown, "U")];
    let mut found: String = possible.iter().filter(|(possible, _)| *possible).map(|(_, letter)| *letter).collect();
    for doubt in &review.unguarded {
        assert_eq!(doubt.found, "missing");
        assert!(text[doubt.position..].starts_with(&doubt.path), "{text}: {doubt:?}");
        found = format!("{found} {}", doubt.path.trim_start_matches("record."));
    }
    assert_eq!(found, expected, "{text}");
}

#[test]
fn constants_decide_alone() {
    check("true", "T");
    check("false", "F");
    check("1 == 1", "T");
    check("1 == 2", "F");
    check("'a' in ['b', 'c']", "F");
    check("true || record.text_o == 'x'", "T");
    check("false && record.text_o == 'x'", "F");
    check("1 == 1 && record.text_r == 'x'", "TF");
}

#[test]
fn contradictions_are_never_true() {
    check("record.int_r == 1 && record.int_r == 2", "F");
    check("record.int_o == 1 && record.int_o == 2", "FU int_o");
    check("record.text_r == 'a' && record.text_r == 'b'", "F");
    check("record.int_r < 3 && record.int_r > 5", "F");
    check("record.int_r > 3 && record.int_r < 4", "F");
    check("record.num_r < 3 && record.num_r >= 3", "F");
    check("record.dec_r > 3 && record.dec_r < 3", "F");
    check("record.text_r < 'a' && record.text_r > 'b'", "F");
    check("record.day_r > '2026-01-01' && record.day_r < '2026-01-02'", "F");
    check("record.at_r < '2026-01-01T00:00:00Z' && record.at_r > '2026-01-01T00:00:00Z'", "F");
    check("record.pick_r != 'red' && record.pick_r != 'green' && record.pick_r != 'blue'", "F");
    check("record.flag_r && !record.flag_r", "F");
    check("record.flag_r == true && record.flag_r == false", "F");
    check("record.text_r.startsWith('a') && record.text_r.startsWith('b')", "F");
    check("record.text_r.startsWith('ab') && !record.text_r.contains('b')", "F");
    check("record.text_r == 'abc' && record.text_r.endsWith('b')", "F");
    check("record.text_r > 'a' && record.text_r < 'b' && !record.text_r.startsWith('a')", "F");
    check("record.text_o == null && record.text_o == 'x'", "FU text_o");
    check("record.text_o == null && has(record.text_o)", "F");
    check("'red' in record.picks_r && !('red' in record.picks_r)", "F");
    check("record.int_r < before.int_r && before.int_r < record.int_r", "FU");
    check("record.int_r == 1 && caller.level == 2 && record.int_r == caller.level", "FU");
    check("now < timestamp('2026-01-01T00:00:00Z') && now > timestamp('2027-01-01T00:00:00Z')", "F");
    check("record.num_r == 2.5 && record.num_r == record.int_r", "F");
    check("caller.tenant == null", "F");
    check("caller.roles == null", "F");
}

#[test]
fn what_is_required_is_there() {
    check("record.text_r == null", "F");
    check("has(record.text_r)", "T");
    check("has(record.created) && has(record.updated) && record.id != null", "T");
    check("has(record.data_r)", "T");
    check("record.data_r == null || record.text_r == null", "F");
    check("has(record.rels_r)", "T");
    check("has(record.text_o)", "TF");
    check("record.text_o == null", "TF");
    check("has(record.data_o)", "TF");
    check("has(record.data_r.x)", "TF");
    check("has(record.picks_o)", "TF");
    check("has(before.text_r)", "TF");
    check("has(before.created) && !has(before.text_r)", "F");
    check("has(before.text_r) && !has(before.text_o)", "TF");
}

#[test]
fn tautologies_are_never_false() {
    check("!(record.int_r == 1) || record.int_r == 1", "T");
    check("!(record.int_o == 1) || record.int_o == 1", "TU int_o");
    check("record.int_r < 5 || record.int_r >= 5", "T");
    check("record.int_r <= 3 || record.int_r >= 4", "T");
    check("record.num_r <= 3 || record.num_r >= 4", "TF");
    check("record.flag_r || !record.flag_r", "T");
    check("record.pick_r in ['red', 'green', 'blue']", "T");
    check("record.text_o == null || has(record.text_o)", "T");
    check("record.text_r.contains('a') || !record.text_r.startsWith('a')", "T");
    check("record.text_r.startsWith('')", "T");
    check("now == now", "T");
    check("record.text_r == record.text_r", "T");
    check("record.at_r < now || record.at_r >= now", "T");
}

/// One honest condition for every kind of field and comparison: it can be true, and it can be false.
#[test]
fn honest_conditions_stay_honest() {
    for field in ["text_r", "mail_r", "site_r", "rel_r"] {
        check(&format!("record.{field} == 'x'"), "TF");
        check(&format!("record.{field} != 'x' && record.{field} != 'y'"), "TF");
        check(&format!("record.{field} in ['x', 'y'] && record.{field} != 'x'"), "TF");
        check(&format!("record.{field} > 'x' && record.{field} < 'y'"), "TF");
        check(&format!("record.{field} < 'a'"), "TF");
        check(&format!("record.{field}.startsWith('x') && record.{field}.endsWith('y') && record.{field}.contains('z')"), "TF");
        check(&format!("record.{field} == caller.tenant"), "TF");
        check(&format!("record.{field} == caller.id"), "TFU");
    }
    check("record.int_r == 1", "TF");
    check("record.int_r > 3 && record.int_r < 5", "TF");
    check("record.int_r > 2.5 && record.int_r < 3.5", "TF");
    check("record.int_r != 1 && record.int_r in [1, 2, 3]", "TF");
    check("record.int_r < -9223372036854775807", "TF");
    check("record.int_r >= 9223372036854775807", "TF");
    check("record.int_r == 2.5", "F");
    check("record.num_r > 3 && record.num_r < 4", "TF");
    check("record.num_r > 1.7e308", "TF");
    check("record.num_r == record.int_r && record.num_r > 1.5", "TF");
    check("record.dec_r > 3 && record.dec_r < '3.01'", "TF");
    check("record.dec_r > '79228162514264337593543950334'", "TF");
    check("record.dec_r == record.int_r", "TF");
    check("record.flag_r", "TF");
    check("record.flag_r != true", "TF");
    check("record.at_r < now", "TF");
    check("record.at_r.startsWith('2026-')", "TF");
    check("record.at_r > '2026-01-01T00:00:00Z' && record.at_r < '2026-01-01T00:00:01Z'", "TF");
    check("record.created < now && record.updated < now && record.updated > record.created", "TF");
    check("record.day_r > '2026-01-01' && record.day_r < '2026-01-03'", "TF");
    check("record.day_r == '2026-01-01' || record.day_r.endsWith('-02')", "TF");
    check("record.pick_r == 'red'", "TF");
    check("record.pick_r != 'red' && record.pick_r != 'green'", "TF");
    check("record.pick_r == before.pick_r", "TFU");
    check("'red' in record.picks_r && 'green' in record.picks_r && !('blue' in record.picks_r)", "TF");
    check("record.pick_r in record.picks_r", "TF");
    check("caller.tenant in record.rels_r", "TF");
    check("record.rel_r in record.rels_r && record.rel_r == caller.tenant", "TF");
    check("'editor' in caller.roles && !('admin' in caller.roles)", "TF");
    check("caller.id != null", "TF");
    check("caller.id == 'x' && caller.team == 'y' && caller.level > 3", "TFU");
    check("record.data_r.a.b == 1 && record.data_r.c == 'x'", "TFU data_r.a.b data_r.c");
    check("record.data_r == 'x' || record.data_r == 5", "TFU");
    check("record.data_o.n == 2.5 && record.data_o.n == caller.n", "TFU data_o.n");
    check("'x' in record.data_r.list && 5 in record.data_r.list", "TFU data_r.list");
    check("record.dec_r == caller.credit", "TFU");
    check("record.dec_r == caller.credit && record.dec_r == '2.5'", "TFU");
    check("record.text_r == caller.name || record.day_r == caller.day", "TFU");
    check("'abcdef'.contains(record.text_r) && record.text_r != 'abcdef' && record.text_r != ''", "TF");
    check("record.text_r.startsWith(caller.tenant) && record.text_r != caller.tenant", "TF");
    check("before.int_r < record.int_r", "TFU");
    check("!has(before.id) || before.int_r < record.int_r", "TF");
}

#[test]
fn many_terms_are_no_contradiction() {
    let all: Vec<String> = ["text_r", "mail_r", "site_r", "rel_r"].iter().map(|field| format!("record.{field} == 'x'")).collect();
    check(&format!("{} && record.int_r == 7 && record.num_r == 2.5 && record.dec_r == 4 && record.flag_r", all.join(" && ")), "TF");
    let tied = "record.text_r == caller.a && record.mail_r == caller.a && record.site_r == caller.b && record.rel_r == caller.b && \
                caller.a != caller.b && record.int_r == caller.n && record.num_r == caller.n && caller.n > 17";
    check(tied, "TFU");
    let roles: Vec<String> = (0..9).map(|role| format!("('role{role}' in caller.roles && !('not{role}' in caller.roles))")).collect();
    check(&roles.join(" && "), "TF");
    let teams: Vec<String> = (0..40).map(|at| format!("record.data_o.x{at} == caller.y{at}")).collect();
    let expected: Vec<String> = (0..40).map(|at| format!(" data_o.x{at}")).collect();
    check(&teams.join(" && "), &format!("TFU{}", expected.concat()));
    let values: Vec<String> = (0..200).map(|at| format!("'v{at}'")).collect();
    check(&format!("record.text_r in [{}] && record.text_r != 'v7'", values.join(",")), "TF");
}

#[test]
fn a_path_is_unguarded_if_its_absence_alone_is_a_doubt() {
    check("record.flag_o == true", "TFU flag_o");
    check("record.flag_o", "TFU flag_o");
    check("has(record.flag_o) && record.flag_o == true", "TF");
    check("record.flag_o != null && record.flag_o", "TF");
    check("record.flag_o == null || record.flag_o", "TF");
    check("!has(record.flag_o) || !record.flag_o", "TF");
    check("record.flag_r == true", "TF");
    check("record.text_o == record.rel_o", "TFU text_o rel_o");
    check("record.text_o == caller.id", "TFU text_o");
    check("has(record.text_o) && record.text_o == caller.id", "TFU");
    check("has(record.text_o) && record.text_o == 'x' || record.int_o > 3", "TFU int_o");
    check("record.text_o == 'x' || record.text_o == 'y'", "TFU text_o");
    check("record.text_r == 'x' && record.text_o == 'y'", "TFU text_o");
    check("record.picks_o == null || 'red' in record.picks_o", "TF");
    check("'red' in record.picks_o", "TFU picks_o");
    check("has(record.data_o) && record.data_o.n == 1", "TFU data_o.n");
    check("has(record.data_o.n) && record.data_o.n == 1", "TFU");
    check("has(record.text_o) || record.flag_o", "TFU flag_o");
    check("before.flag_o", "TFU");
    check("record.text_o.startsWith('x') && record.text_o.contains(record.site_o)", "TFU text_o site_o");
    check("record.text_o == 'x' && record.text_o == 'y' && record.flag_r", "FU text_o");
}

/// Longer than anyone writes, and made to be slow.
#[test]
fn a_review_is_bounded() {
    let chain = |count: usize, term: &dyn Fn(usize) -> String, joint: &str| (0..count).map(term).collect::<Vec<_>>().join(joint);
    // As many rows as the grammar allows terms in one.
    let rows = |term: &dyn Fn(usize) -> String| {
        let row = |at: usize| format!("({})", chain(150, &|column| term(at * 150 + column), "||"));
        chain(2, &row, "&&")
    };
    let numbers = (0..190).map(|at| (at * 3).to_string()).collect::<Vec<_>>().join(",");
    let slow = [
        chain(60, &|at| format!("caller.a{at} < caller.a{}", at + 1), " && "),
        chain(60, &|at| format!("(caller.a{at} == 1 || caller.a{} == record.int_o)", (at * 7) % 60), " && "),
        chain(60, &|at| format!("caller.a.contains('{at}') && !caller.a.endsWith('x{at}')"), " || "),
        chain(60, &|at| format!("'{at}' in caller.a && !('x{at}' in caller.b)"), " && "),
        chain(60, &|at| format!("!(record.data_o.x{at} in record.data_o.y{})", at % 3), " && "),
        chain(60, &|at| format!("record.data_o.x{at} == record.data_o{}", ".a".repeat(at % 15)), " || "),
        chain(99, &|at| format!("'{}'.contains(caller.x)", "abc".repeat(at / 20 + 1)), " && "),
        chain(99, &|at| format!("caller.x.contains('{}')", "a".repeat(at / 10 + 1)), " && "),
        chain(4, &|at| format!("(caller.a{at} in [{numbers}] && caller.a{at} < caller.b)"), " || "),
        rows(&|at| format!("caller.a{at}")),
        rows(&|at| format!("caller.a{}", at % 190)),
        format!("caller.b == 1 && {}", rows(&|at| format!("caller.a{at}"))),
        chain(180, &|at| format!("record.data_o.x{at}"), "&&"),
        chain(120, &|at| format!("record.data_o.x{at} == caller.x"), "&&"),
    ];
    for text in slow {
        let things = things();
        let condition = Condition::parse(&text, Scope::Policy).expect(&text).check(&things).expect(&text);
        let begun = std::time::Instant::now();
        let review = condition.review(&things);
        assert!(review.can_be_true && review.can_be_unknown, "{text}: {review:?}");
        assert!(begun.elapsed().as_secs() < 2, "{text} took {:?}", begun.elapsed());
    }
}

//! The five fields of a cron line, checked. Next times are reckoned where rules are scheduled, by a library that reads
//! everything that passes here.

/// Name, lowest and highest number of each field, and names that stand for numbers.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of the month", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of the week", 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// # Errors
/// The text says which field is wrong.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    let fields: Vec<&str> = schedule.split(' ').filter(|field| !field.is_empty()).collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("the schedule `{schedule}` has {} fields; five are needed: minute, hour, day, month, weekday", fields.len()));
    }
    for (text, (name, low, high, names)) in fields.iter().zip(FIELDS) {
        if !text.split(',').all(|part| is_part(part, low, high, names)) {
            return Err(format!("`{text}` is no {name} in the schedule `{schedule}`"));
        }
    }
    Ok(())
}

/// `*`, `5`, `1-5`, each also with a step: `*/10`.
fn is_part(part: &str, low: u32, high: u32, names: &[&str]) -> bool {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    if !step.is_none_or(|step| number(step).is_some_and(|step| (1..=high).contains(&step))) {
        return false;
    }
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let named = named.and_then(|at| u32::try_from(at).ok()).map(|at| at + low);
        named.or_else(|| number(text)).filter(|value| (low..=high).contains(value))
    };
    match range.split_once('-') {
        None if range == "*" => true,
        // a step needs something to step through
        None => step.is_none() && value(range).is_some(),
        Some((from, to)) => matches!((value(from), value(to)), (Some(from), Some(to)) if from <= to),
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_checked() {
        for good in ["* * * * *", "*/15 * * * *", "0 3 * * 1-5", "0,30 8-18/2 1 jan,jul *", "5 4 31 12 sun", "0 0 * * 7", "0  0 * * *"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "@daily",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "5/2 * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "a * * * *",
            "1,,2 * * * *",
            "*\t* * * *",
            "*/99 * * * *",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}

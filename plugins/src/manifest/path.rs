//! The path of an endpoint: `/pay/{id}`. Fixed parts and parameters, each a whole segment.

use std::collections::BTreeSet;

const PATH_MAX_BYTES: usize = 200;

/// # Errors
/// The text says what is wrong with the path.
pub(super) fn check(path: &str) -> Result<(), String> {
    let segments = path.strip_prefix('/').filter(|_| path.len() <= PATH_MAX_BYTES);
    let segments =
        segments.ok_or_else(|| format!("the path `{path}` does not begin with `/`, or is longer than {PATH_MAX_BYTES} bytes"))?;
    if segments.is_empty() {
        return Ok(());
    }
    let mut names = BTreeSet::new();
    for segment in segments.split('/') {
        match parameter(segment) {
            Some(name) if !is_name(name) => return Err(format!("`{segment}` in the path `{path}` is no parameter")),
            Some(name) if !names.insert(name) => return Err(format!("the path `{path}` has two parameters `{name}`")),
            Some(_) => {}
            None if !is_fixed(segment) => return Err(format!("`{segment}` cannot stand in the path `{path}`")),
            None => {}
        }
    }
    Ok(())
}

/// The path with all parameters alike: two paths of one shape would answer the same requests.
pub(super) fn shape(path: &str) -> String {
    let alike = path.split('/').map(|segment| parameter(segment).map_or(segment, |_| "{}"));
    alike.collect::<Vec<_>>().join("/")
}

fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    starts && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_fixed(segment: &str) -> bool {
    let letters = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    letters && !matches!(segment, "" | "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_checked() {
        for good in ["/", "/pay", "/pay/{id}", "/a/{b}/c.json/{d_1}"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in
            ["", "pay", "//", "/pay/", "/a//b", "/..", "/./a", "/a b", "/a?b", "/{}", "/{1}", "/{a}/{a}", "/{a", "/x{a}", "/ä", "/a%2f"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(shape("/a/{b}/c"), shape("/a/{d}/c"));
        assert_ne!(shape("/a/{b}"), shape("/a/b"));
    }
}

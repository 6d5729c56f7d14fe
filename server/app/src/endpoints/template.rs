//! The path of an endpoint: `/pay/{id}`, literal segments and parameters. Pure: says whether the path of a request fits, and which of several
//! templates is meant. What a template may look like is checked with the manifest that it stands in.

/// The template of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template<'a>(Vec<Segment<'a>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment<'a> {
    Literal(&'a str),
    Parameter(&'a str),
}

impl<'a> Template<'a> {
    /// Reads a template.
    pub(crate) fn parse(path: &'a str) -> Self {
        let rest = path.strip_prefix('/').unwrap_or(path);
        Self(if rest.is_empty() { Vec::new() } else { rest.split('/').map(Segment::parse).collect() })
    }

    /// The parameters of a path that fits, given in its segments, decoded.
    pub(crate) fn parameters(&self, path: &[String]) -> Option<Vec<(&'a str, String)>> {
        if self.0.len() != path.len() {
            return None;
        }
        let mut found = Vec::new();
        for (segment, given) in self.0.iter().zip(path) {
            match segment {
                Segment::Literal(text) if text == given => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(_) if given.is_empty() => return None,
                Segment::Parameter(name) => found.push((*name, given.clone())),
            }
        }
        Some(found)
    }

    /// Of the templates that fit a path, the one with the lowest rank is meant: literal segments win, and the first that differ decide.
    pub(crate) fn rank(&self) -> Vec<bool> {
        self.0.iter().map(|segment| matches!(segment, Segment::Parameter(_))).collect()
    }

    /// The path with other names for its parameters, one after the other: equal for templates that fit the same paths.
    pub(crate) fn named(&self, mut name: impl FnMut(usize) -> String) -> String {
        let mut number = 0;
        let mut path = String::new();
        for segment in &self.0 {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Parameter(_) => {
                    path.push_str(&format!("{{{}}}", name(number)));
                    number += 1;
                }
            }
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }
}

impl<'a> Segment<'a> {
    fn parse(part: &'a str) -> Self {
        match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => Self::Parameter(name),
            None => Self::Literal(part),
        }
    }
}

/// The segments of the path of a request, decoded; none if they are no UTF-8.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    match path.strip_prefix('/').unwrap_or(path) {
        "" => Some(Vec::new()),
        rest => rest.split('/').map(decoded).collect(),
    }
}

/// RFC 3986, section 2.1. A `%` without two hexadecimal digits behind it stands for itself.
fn decoded(text: &str) -> Option<String> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let (bytes, mut found, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                // INVARIANT: two hexadecimal digits are at most 255.
                found.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                found.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        let found = Template::parse(template).parameters(&segments(path).expect("UTF-8"))?;
        Some(found.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    #[test]
    fn paths_fit_as_a_whole() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(fits("/", "/"), Some(vec![]));
        assert_eq!(fits("/", ""), Some(vec![]));
        assert_eq!(fits("/pay", "/pay"), Some(vec![]));
        assert_eq!(fits("/pay/{id}/{line}", "/pay/7/a%2Fb"), Some(vec![pair("id", "7"), pair("line", "a/b")]));
        assert_eq!(fits("/pay/{id}", "/p%61y/gr%C3%BCn%"), Some(vec![pair("id", "grün%")]));
        for path in ["/", "/pay", "/pay/", "/pay/7/", "/pay//7", "//pay/7", "/Pay/7", "/x/pay/7"] {
            assert_eq!(fits("/pay/{id}", path), None, "{path}");
        }
    }

    #[test]
    fn what_is_no_text_is_no_path() {
        for path in ["/%FF", "/a/%c3", "/%c3/%28"] {
            assert_eq!(segments(path), None, "{path}");
        }
        assert_eq!(segments("/%/%4/%zz/%%41"), Some(["%", "%4", "%zz", "%A"].map(str::to_owned).into()));
    }

    #[test]
    fn literal_segments_win() {
        let rank = |path| Template::parse(path).rank();
        assert!(rank("/pay/new") < rank("/pay/{id}"));
        assert!(rank("/pay/{id}") < rank("/{kind}/new"));
        assert!(rank("/{kind}/new") < rank("/{kind}/{id}"));
    }

    #[test]
    fn parameters_can_be_called_otherwise() {
        let named = |path| Template::parse(path).named(|number| format!("p{number}"));
        assert_eq!(["/", "/pay", "/{a}/x/{b}"].map(named), ["/", "/pay", "/{p0}/x/{p1}"]);
    }
}

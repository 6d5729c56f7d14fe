//! Which pages of other origins may use the API from a browser (the Fetch standard, "CORS protocol"). Poem's own middleware refuses same-origin
//! writes as soon as there is a list of origins; besides, the answers to errors need these headers as much as any other.

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};

use crate::{Error, config::Config};

/// Headers of answers that scripts may read, beside those that they always may.
const EXPOSED: &str = "Link, ETag, Location, Retry-After, WWW-Authenticate, X-Request-Id, X-Total-Count, X-Next-Cursor, Content-Range, \
     Idempotency-Key, Idempotency-Replayed, Idempotent-Replayed, Policy-Epoch, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset";

/// What a path may be asked; whether it takes the method is for the request itself to hear.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Seconds for which a browser need not ask again.
const MAX_AGE: &str = "600";

/// The origins that may, ready to compare.
pub(super) struct Cors {
    any: bool,
    origins: Vec<HeaderValue>,
    credentials: bool,
}

impl Cors {
    /// Reads the settings.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let any = config.cors_origins.iter().any(|origin| origin == "*");
        if any && config.cors_credentials {
            let message = "`cors_origins` is `*`: with `cors_credentials`, every page of the web could act for whoever looks at it";
            return Err(Error::Configuration(message.to_owned()));
        }
        let named = config.cors_origins.iter().filter(|origin| *origin != "*");
        let origins = named.map(|origin| checked(origin)).collect::<Result<_, _>>()?;
        Ok(Self { any, origins, credentials: config.cors_credentials })
    }

    fn is_off(&self) -> bool {
        !self.any && self.origins.is_empty()
    }

    /// The origin of a request, if it may.
    pub(super) fn origin(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        (self.any || self.origins.contains(origin)).then(|| origin.clone())
    }

    /// The answer to the question of a browser that comes before a request; none for every other request.
    pub(super) fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) && request.headers().contains_key(header::ORIGIN);
        if self.is_off() || request.method() != Method::OPTIONS || !asks {
            return None;
        }
        let mut answer = Response::builder().status(StatusCode::NO_CONTENT).finish();
        let headers = answer.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers"));
        if self.origin(request).is_some() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
            // Endpoints of plugins read headers of their own; whom the operator lets in may send any.
            if let Some(names) = wished(request.headers()) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
            }
        }
        Some(answer)
    }

    /// Lets the page at `origin` read the answer.
    pub(super) fn open(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.is_off() {
            return;
        }
        // One cache for all, if everybody hears the same.
        if !self.any {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = origin else { return };
        let told = if self.any { HeaderValue::from_static("*") } else { origin };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, told);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// The headers that a page wishes to send, if they are names of headers.
fn wished(headers: &HeaderMap) -> Option<HeaderValue> {
    let wished = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS)?;
    let named = wished.to_str().ok()?.split(',').all(|name| HeaderName::try_from(name.trim()).is_ok());
    named.then(|| wished.clone())
}

/// An origin as browsers send it: scheme, host and, if it is not the usual one, port.
fn checked(origin: &str) -> Result<HeaderValue, Error> {
    let as_sent = url::Url::parse(origin).ok().map(|url| url.origin().ascii_serialization());
    match (as_sent, HeaderValue::from_str(origin)) {
        (Some(sent), Ok(value)) if sent == origin => Ok(value),
        _ => Err(Error::Configuration(format!("`cors_origins`: `{origin}` is not an origin such as `https://app.example.com`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], credentials: bool) -> Result<Cors, Error> {
        let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        Cors::new(&Config { cors_origins, cors_credentials: credentials, ..Config::default() })
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for wrong in
            ["app.example.com", "https://app.example.com/", "https://app.example.com/x", "https://APP.example.com", "null", "", "file:///x"]
        {
            assert!(cors(&[wrong], false).is_err(), "{wrong}");
        }
        assert!(cors(&["*"], true).is_err());
        assert!(cors(&["https://app.example.com", "http://localhost:5173"], true).is_ok());
        assert!(cors(&["*"], false).is_ok() && cors(&[], false).is_ok());
    }

    #[test]
    fn only_listed_origins_may() {
        let cors = cors(&["https://app.example.com"], false).expect("good");
        let request = |origin: &str| Request::builder().header("origin", origin).finish();
        assert!(cors.origin(&request("https://app.example.com")).is_some());
        for other in ["https://app.example.com.evil.example", "http://app.example.com", "https://app.example.com:8443", "null"] {
            assert!(cors.origin(&request(other)).is_none(), "{other}");
        }
    }
}

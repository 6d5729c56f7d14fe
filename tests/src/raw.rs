//! A connection without a client around it: what is sent is what the test says, byte by byte, and as slowly as it likes.

use std::{collections::HashMap, io, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{DEADLINE, TestApp};

/// A plain connection.
pub struct Raw {
    stream: TcpStream,
    /// What has come and was not taken yet.
    unread: Vec<u8>,
}

/// An answer of HTTP/1 as it came.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// Names in lower case; of several with one name the last.
    pub headers: HashMap<String, String>,
    /// Without the framing of the transfer.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header by its name in lower case; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Checks that this is a problem with this status and code.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) {
        let json = self.json();
        assert_eq!((self.status, json["code"].as_str()), (status, Some(code)), "{self:?} {json}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
    }
}

impl Raw {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn open(app: &TestApp) -> Self {
        Self::connect(app.host()).await.expect("a connection")
    }

    /// Connects to `HOST:PORT`.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(host: &str) -> io::Result<Self> {
        Ok(Self { stream: TcpStream::connect(host).await?, unread: Vec::new() })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Sends these bytes one by one until somebody closes the connection.
    ///
    /// # Panics
    /// When nobody does.
    pub async fn drip(&mut self, bytes: &[u8], pause: Duration) {
        let dripping = async {
            for byte in bytes.iter().cycle() {
                let sent = self.stream.write_all(&[*byte]).await;
                let mut some = [0; 1];
                if sent.is_err() || matches!(timeout(pause, self.stream.read(&mut some)).await, Ok(Ok(0) | Err(_))) {
                    return;
                }
            }
        };
        timeout(DEADLINE, dripping).await.expect("the server closes a connection that only drips");
    }

    /// Waits until the server closes the connection. Returns what it said before.
    ///
    /// # Panics
    /// When it does not.
    pub async fn closed(&mut self) -> Vec<u8> {
        let mut said = std::mem::take(&mut self.unread);
        // A connection that is reset is closed too.
        let _ = timeout(DEADLINE, self.stream.read_to_end(&mut said)).await.expect("the server closes the connection");
        said
    }

    /// Reads so many bytes more, or fewer at the end.
    async fn more(&mut self) -> bool {
        let mut block = [0; 16 << 10];
        let read = timeout(DEADLINE, self.stream.read(&mut block)).await.expect("the server says something");
        let count = read.unwrap_or_default();
        self.unread.extend_from_slice(&block[..count]);
        count > 0
    }

    /// Waits until this has come.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn until(&mut self, text: &str) {
        while !self.unread.windows(text.len()).any(|window| window == text.as_bytes()) {
            assert!(self.more().await, "`{text}` does not come after {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// Sends a request of HTTP/1 without a body, no HEAD, and reads the answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> RawAnswer {
        self.send(request(method, path, headers, "")).await.expect("the request is taken");
        self.answer().await
    }

    /// Reads a path from a server that may refuse the connection. None if it ends without a word.
    ///
    /// # Panics
    /// When it answers with something else than HTTP.
    pub async fn try_ask(&mut self, path: &str) -> Option<RawAnswer> {
        let _ = self.send(request("GET", path, &[], "")).await;
        while !self.unread.windows(4).any(|window| window == b"\r\n\r\n") {
            if !self.more().await {
                return None;
            }
        }
        Some(self.answer().await)
    }

    /// Reads the next answer. Those that only announce it (1xx) are left out.
    ///
    /// # Panics
    /// When there is none, or no whole one.
    pub async fn answer(&mut self) -> RawAnswer {
        loop {
            self.until("\r\n\r\n").await;
            let end = self.unread.windows(4).position(|window| window == b"\r\n\r\n").expect("it has come");
            let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
            self.unread.drain(..end + 4);
            let mut lines = head.lines();
            let status: u16 = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
            if status < 200 {
                continue;
            }
            let pair = |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
            let headers: HashMap<_, _> = lines.filter_map(pair).collect();
            let body = self.body(status, &headers).await;
            return RawAnswer { status, headers, body };
        }
    }

    async fn body(&mut self, status: u16, headers: &HashMap<String, String>) -> Vec<u8> {
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            return self.chunks().await;
        }
        let none = matches!(status, 204 | 304);
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).filter(|_| !none).unwrap_or_default();
        while self.unread.len() < length && self.more().await {}
        self.unread.drain(..length.min(self.unread.len())).collect()
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            self.until("\r\n").await;
            let end = self.unread.windows(2).position(|window| window == b"\r\n").expect("it has come");
            let length = usize::from_str_radix(&String::from_utf8_lossy(&self.unread[..end]), 16).expect("the length of a chunk");
            self.unread.drain(..end + 2);
            while self.unread.len() < length + 2 {
                assert!(self.more().await, "a chunk breaks off");
            }
            body.extend(self.unread.drain(..length));
            self.unread.drain(..2);
            if length == 0 {
                return body;
            }
        }
    }

    /// Everything that has come so far and was not taken.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }
}

/// A request of HTTP/1 as text.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: ironrule.example\r\n{headers}\r\n{body}")
}

//! A receiver of webhooks that misbehaves as its path asks for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    /// Whether it was answered with a 2xx.
    pub accepted: bool,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no `{name}` in {self:?}"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn number(&self) -> i64 {
        self.json()["number"].as_i64().unwrap_or_else(|| panic!("no number: {self:?}"))
    }
}

/// Listens on a port of this machine until it is dropped.
pub struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let all = Arc::clone(&received);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, Arc::clone(&all)));
            }
        });
        Self { port, received, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What came in at this path so far.
    pub fn at(&self, path: &str) -> Vec<Received> {
        self.all().into_iter().filter(|one| one.path == path).collect()
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.lock().expect("the list").clone()
    }

    /// The list itself, for those who look often.
    pub fn list(&self) -> Arc<Mutex<Vec<Received>>> {
        Arc::clone(&self.received)
    }
}

/// One request for each connection: whoever sends webhooks closes it anyway.
async fn serve(mut stream: TcpStream, all: Arc<Mutex<Vec<Received>>>) {
    let Some(mut request) = read(&mut stream).await else { return };
    let answer = {
        let mut all = all.lock().expect("the list");
        let before =
            all.iter().filter(|one| one.path == request.path && one.headers.get("webhook-id") == request.headers.get("webhook-id"));
        let answer = answer(&request, before.count());
        request.accepted = answer.starts_with("HTTP/1.1 2");
        all.push(request.clone());
        answer
    };
    match request.path.as_str() {
        "/hang" => tokio::time::sleep(Duration::from_secs(600)).await,
        "/slow" => tokio::time::sleep(Duration::from_secs(2)).await,
        _ => {}
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    while request.path == "/endless" && stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
    let _ = stream.shutdown().await;
}

fn answer(request: &Received, earlier: usize) -> String {
    let plain = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    match request.path.split('?').next().unwrap_or_default() {
        // Every second delivery fails the first time.
        "/half" if earlier == 0 && request.number() % 2 == 0 => plain("500 Internal Server Error"),
        "/fails" => plain("500 Internal Server Error"),
        "/gone" => plain("410 Gone"),
        "/busy" if earlier == 0 => "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        "/moved" => "HTTP/1.1 302 Found\r\nlocation: /target\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        "/echo" => {
            format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}", request.path.len(), request.path)
        }
        "/endless" => "HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n".to_owned(),
        "/garbage" => "this is not HTTP\r\n\r\n".to_owned(),
        _ => plain("200 OK"),
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4_096];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut chunk).await.ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head");
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (first.next()?, first.next()?);
    let headers: HashMap<String, String> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        match stream.read(&mut chunk).await.ok()? {
            0 => return None,
            read => body.extend_from_slice(&chunk[..read]),
        }
    }
    Some(Received { method, path, headers, body: String::from_utf8(body).expect("text"), accepted: false })
}

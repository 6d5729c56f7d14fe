//! The HTTP side: one keep-alive connection per client on bare hyper, because on two cores a heavier client would be measured instead.

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::{Fault, load::Worker, operation::Operation};

/// How many connections set-up uses at once.
const SETUP_CONNECTIONS: usize = 8;

/// A request that can be sent again and again.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    token: String,
    body: Bytes,
}

impl Call {
    /// Reads as the holder of the token.
    pub fn get(path: &str, token: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), token: token.to_owned(), body: Bytes::new() }
    }

    /// Sends a JSON body as the holder of the token; an empty token is nobody.
    pub fn post(path: &str, token: &str, body: &Value) -> Self {
        Self { method: Method::POST, path: path.to_owned(), token: token.to_owned(), body: Bytes::from(body.to_string()) }
    }
}

/// What came back.
pub struct Answer {
    status: u16,
    /// The header `X-Total-Count`, if there was one.
    pub total: Option<u64>,
    body: Bytes,
}

impl Answer {
    /// The body of a success.
    pub fn json(&self) -> Result<Value, Fault> {
        if !(200..300).contains(&self.status) {
            return Err(format!("status {}: {}", self.status, String::from_utf8_lossy(&self.body)).into());
        }
        if self.body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&self.body)?) }
    }
}

/// A keep-alive connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: String,
}

impl Connection {
    /// Connects to `host:port`.
    pub async fn open(address: &str) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, address: address.to_owned() })
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(&mut self, call: &Call) -> Result<Answer, Fault> {
        let mut request = Request::builder().method(&call.method).uri(&call.path).header(HOST, &self.address);
        if !call.token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", call.token));
        }
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        self.sender.ready().await?;
        let answer = self.sender.send_request(request.body(Full::new(call.body.clone()))?).await?;
        let total = answer.headers().get("x-total-count").and_then(|value| value.to_str().ok()?.parse().ok());
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, total, body })
    }

    /// Sends a request that must succeed and returns its JSON.
    pub async fn json(&mut self, call: &Call) -> Result<Value, Fault> {
        let answer = self.send(call).await?.json();
        answer.map_err(|error| format!("{} {}: {error}", call.method, call.path).into())
    }
}

/// Sends many requests over several connections; all must succeed. The answers are in the order of the requests.
pub async fn all(address: &str, calls: Vec<Call>) -> Result<Vec<Value>, Fault> {
    let share = calls.len().div_ceil(SETUP_CONNECTIONS).max(1);
    let tasks: Vec<_> = calls.chunks(share).map(|calls| tokio::spawn(one_by_one(address.to_owned(), calls.to_vec()))).collect();
    let mut answers = Vec::with_capacity(calls.len());
    for task in tasks {
        answers.append(&mut task.await??);
    }
    Ok(answers)
}

async fn one_by_one(address: String, calls: Vec<Call>) -> Result<Vec<Value>, Fault> {
    let mut connection = Connection::open(&address).await?;
    let mut answers = Vec::with_capacity(calls.len());
    for call in &calls {
        answers.push(connection.json(call).await?);
    }
    Ok(answers)
}

/// Whose requests look how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `docs/API.md`.
    Ironrule,
    /// PocketBase's Web API.
    PocketBase,
}

/// A user of the server under test.
#[derive(Clone, Debug)]
pub struct Account {
    /// The id of its record.
    pub id: String,
    /// Its access token.
    pub token: String,
}

/// A server that has been prepared.
pub struct Service {
    pub dialect: Dialect,
    /// `host:port`.
    pub address: String,
    /// Who reads; client `n` is reader `n`.
    pub readers: Vec<Account>,
    /// Who creates notes, so that the readers' notes stay as many as they are.
    pub writers: Vec<Account>,
    /// The ids of the products; the last one is the hot one.
    pub products: Vec<String>,
}

impl Service {
    /// The request of a client at a turn.
    pub fn call(&self, operation: Operation, client: usize, turn: u64) -> Call {
        let reader = &self.readers[client];
        let (spread, hot) = self.products.split_at(self.products.len() - 1);
        let product = if operation == Operation::OrderHot { &hot[0] } else { &spread[crate::operation::pick(client, turn, spread.len())] };
        match self.dialect {
            Dialect::Ironrule => crate::ironrule::call(operation, reader, &self.writers[client], product, turn),
            Dialect::PocketBase => crate::pocketbase::call(operation, reader, &self.writers[client], product, turn),
        }
    }

    /// How many pieces of the hot product are left.
    pub async fn hot_stock(&self) -> Result<u64, Fault> {
        let path = match self.dialect {
            Dialect::Ironrule => "/api/records/products/",
            Dialect::PocketBase => "/api/collections/products/records/",
        };
        let hot = self.products.last().ok_or("no products")?;
        let product = Connection::open(&self.address).await?.json(&Call::get(&format!("{path}{hot}"), &self.readers[0].token)).await?;
        product["stock"].as_u64().ok_or_else(|| format!("no stock in {product}").into())
    }

    /// Checks once that the lists hold what they should: 20 records, and the reader's notes in the total.
    pub async fn check(&self) -> Result<(), Fault> {
        let mut connection = Connection::open(&self.address).await?;
        for operation in [Operation::List, Operation::ListOwned] {
            let answer = connection.send(&self.call(operation, 0, 0)).await?;
            let json = answer.json()?;
            let records = json.as_array().or(json["items"].as_array()).map_or(0, Vec::len);
            let total = answer.total.or(json["totalItems"].as_u64());
            if records != 20 || (operation == Operation::ListOwned && total != Some(crate::operation::NOTES_OF_EACH as u64)) {
                return Err(format!("{operation:?}: {records} records, total {total:?}").into());
            }
        }
        Ok(())
    }
}

/// One client of a [`Service`].
pub struct HttpWorker {
    pub service: std::sync::Arc<Service>,
    pub connection: Connection,
    pub operation: Operation,
    pub client: usize,
}

impl Worker for HttpWorker {
    async fn once(&mut self, turn: u64) -> Result<(), Fault> {
        let call = self.service.call(self.operation, self.client, turn);
        let answer = self.connection.send(&call).await?;
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(answer.json().err().unwrap_or_else(|| "?".into())) }
    }
}

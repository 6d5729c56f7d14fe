//! The server side of a remote database: SurrealDB's own engine and RPC methods in memory, behind a WebSocket on the loopback device. Only
//! the frames and the table of open transactions are ours. What its own server adds - limits, TLS, telemetry - is not here.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use surrealdb_core::{dbs::Session, kvs::Datastore, rpc::RpcProtocol};
use surrealdb_datastore::{Transaction, TransactionType};
use surrealdb_rpc::{DbResponse, DbResult, Request, error::invalid_params};
use surrealdb_types::{Array, Error, HashMap, SurrealValue, Value};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{RwLock, mpsc},
    task::{JoinHandle, JoinSet},
};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{ErrorResponse, Request as Upgrade, Response},
    http::HeaderValue,
};
use uuid::Uuid;

pub const USER: &str = "root";
pub const PASSWORD: &str = "correct horse";

/// A server on a free port. Its data outlives [`Server::stop`].
pub struct Server {
    datastore: Arc<Datastore>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    pub async fn start() -> Self {
        let datastore = Datastore::builder().with_auth(true).build_with_path("memory").await.expect("an engine in memory");
        datastore.initialise_credentials(USER, PASSWORD).await.expect("a root user");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let accepting = tokio::spawn(accept(listener, Arc::clone(&datastore)));
        Self { datastore, address, accepting }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Breaks all connections and takes no new ones.
    pub async fn stop(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }

    /// Takes connections again, on the same port.
    pub async fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port of before");
        self.accepting = tokio::spawn(accept(listener, Arc::clone(&self.datastore)));
    }
}

async fn accept(listener: TcpListener, datastore: Arc<Datastore>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&datastore)));
    }
}

/// The client asks for the FlatBuffers form of the protocol and gets it.
#[allow(clippy::result_large_err, reason = "the signature is that of tungstenite")]
fn agree(request: &Upgrade, mut response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.uri().path(), "/rpc");
    assert_eq!(request.headers()["sec-websocket-protocol"], "flatbuffers");
    response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("flatbuffers"));
    Ok(response)
}

async fn serve(stream: TcpStream, datastore: Arc<Datastore>) {
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, agree).await else { return };
    let (mut sink, mut messages) = socket.split();
    let id = Uuid::new_v4();
    let sessions = HashMap::new();
    sessions.insert(id, Arc::new(RwLock::new(Session::default())));
    let rpc = Arc::new(Rpc { datastore, sessions, transactions: HashMap::new() });
    let (answers, mut outgoing) = mpsc::unbounded_channel();
    // Requests run side by side, as in SurrealDB's own server.
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            Some(answer) = outgoing.recv() => if sink.send(answer).await.is_err() { break },
            message = messages.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let (rpc, answers) = (Arc::clone(&rpc), answers.clone());
                    requests.spawn(async move { answers.send(rpc.answer(id, &bytes).await) });
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    for transaction in rpc.transactions.values() {
        let _ = transaction.cancel().await;
    }
}

/// What one connection has.
struct Rpc {
    datastore: Arc<Datastore>,
    sessions: HashMap<Uuid, Arc<RwLock<Session>>>,
    transactions: HashMap<Uuid, Arc<Transaction>>,
}

impl Rpc {
    async fn answer(&self, connection: Uuid, bytes: &[u8]) -> Message {
        let request = match surrealdb_types::decode::<Value>(bytes).expect("a value in FlatBuffers") {
            Value::Object(object) => Request::from_object(object).expect("a request"),
            other => panic!("not a request: {other:?}"),
        };
        let named = request.session_id.map(Uuid::from);
        let transaction = request.txn.map(Uuid::from);
        let result = self.execute(transaction, named.unwrap_or(connection), named, request.method, request.params).await;
        let response = DbResponse::new(request.id, named, result).into_value();
        Message::Binary(surrealdb_types::encode(&response).expect("FlatBuffers").into())
    }

    fn take(&self, params: Array) -> Result<Arc<Transaction>, Error> {
        let Some(Value::Uuid(id)) = params.into_vec().pop() else { return Err(invalid_params("Expected transaction UUID")) };
        self.transactions.take(&Uuid::from(id)).ok_or_else(|| invalid_params("Transaction not found"))
    }
}

impl RpcProtocol for Rpc {
    fn kvs(&self) -> &Datastore {
        &self.datastore
    }

    fn kvs_arc(&self) -> Arc<Datastore> {
        Arc::clone(&self.datastore)
    }

    fn version_data(&self) -> DbResult {
        DbResult::Other(Value::String("surrealdb-3.3.5".to_owned()))
    }

    fn session_map(&self) -> &HashMap<Uuid, Arc<RwLock<Session>>> {
        &self.sessions
    }

    async fn cleanup_lqs(&self, _session: &Uuid) {}

    async fn cleanup_all_lqs(&self) {}

    async fn get_tx(&self, id: Uuid) -> Result<Arc<Transaction>, Error> {
        self.transactions.get(&id).ok_or_else(|| invalid_params("Transaction not found"))
    }

    async fn begin(&self, _outer: Option<Uuid>, session: Uuid) -> Result<DbResult, Error> {
        self.get_session(&session).await?;
        let begun = self.datastore.transaction(TransactionType::Write).await;
        let id = Uuid::new_v4();
        self.transactions.insert(id, Arc::new(begun.map_err(surrealdb_core::rpc::types_error_from_anyhow)?));
        Ok(DbResult::Other(Value::Uuid(id.into())))
    }

    async fn commit(&self, _outer: Option<Uuid>, _session: Uuid, params: Array) -> Result<DbResult, Error> {
        self.take(params)?.commit().await.map_err(surrealdb_core::rpc::types_error_from_anyhow)?;
        Ok(DbResult::Other(Value::None))
    }

    async fn cancel(&self, _outer: Option<Uuid>, _session: Uuid, params: Array) -> Result<DbResult, Error> {
        self.take(params)?.cancel().await.map_err(surrealdb_core::rpc::types_error_from_anyhow)?;
        Ok(DbResult::Other(Value::None))
    }
}

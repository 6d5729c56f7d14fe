//! A mail server that takes what it is given, refuses one sender of answers for a while and another for good.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A message that came in.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
}

/// Listens on a port of this machine until it is dropped.
pub struct Mailbox {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mailbox {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mails = Arc::<Mutex<Vec<Mail>>>::default();
        let (all, refused) = (Arc::clone(&mails), Arc::<Mutex<bool>>::default());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, Arc::clone(&all), Arc::clone(&refused)));
            }
        });
        Self { port, mails, task }
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub fn all(&self) -> Vec<Mail> {
        self.mails.lock().expect("the list").clone()
    }
}

async fn serve(mut stream: TcpStream, all: Arc<Mutex<Vec<Mail>>>, refused: Arc<Mutex<bool>>) -> Option<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let mut mail = Mail { from: String::new(), to: Vec::new(), text: String::new() };
    write.write_all(b"220 test ESMTP\r\n").await.ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        let address =
            || line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(String::new(), |(address, _)| address.to_owned());
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-test\r\n250 8BITMIME",
            "MAIL" => {
                mail = Mail { from: address(), to: Vec::new(), text: String::new() };
                "250 fine"
            }
            "RCPT" if address().starts_with("never@") => "550 no such mailbox",
            "RCPT" if address().starts_with("later@") && !std::mem::replace(&mut *refused.lock().expect("a flag"), true) => {
                "451 come back later"
            }
            "RCPT" => {
                mail.to.push(address());
                "250 fine"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                while let Some(line) = lines.next_line().await.ok()?.filter(|line| line != ".") {
                    mail.text += &format!("{line}\n");
                }
                all.lock().expect("the list").push(mail.clone());
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}

//! A mail server that keeps what it is given.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

#[derive(Clone)]
pub struct MailServer {
    messages: Arc<Mutex<Vec<String>>>,
    address: String,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = Self { messages: Arc::default(), address };
        let kept = Arc::clone(&server.messages);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move { talk(stream, &kept).await });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Whole messages with their headers; the envelope's recipients come first.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().expect("no panic elsewhere").clone()
    }
}

async fn talk(stream: TcpStream, kept: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test\r\n").await?;
    let (mut line, mut message) = (String::new(), String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.to_ascii_uppercase();
        let answer: &[u8] = match command.split([' ', ':', '\r']).next() {
            Some("QUIT") => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            Some("RCPT") => {
                message.push_str(&line);
                b"250 ok\r\n"
            }
            Some("DATA") => {
                stream.write_all(b"354 go on\r\n").await?;
                loop {
                    line.clear();
                    stream.read_line(&mut line).await?;
                    if line == ".\r\n" {
                        break;
                    }
                    message.push_str(&line);
                }
                kept.lock().expect("no panic elsewhere").push(std::mem::take(&mut message));
                b"250 kept\r\n"
            }
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}

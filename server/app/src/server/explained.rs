//! A stream on which what hyper refuses by itself is explained: when it cannot read the head of a request it answers with a status and no
//! body, and no service of ours is asked. Here that answer becomes a problem like every other, and its client gets the time to read it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::Connection;
use crate::api::unreadable;

/// How long a client whose request cannot be read may go on sending it: closing with something unread would take the answer back.
const LINGERING: Duration = Duration::from_secs(1);

pub(super) struct Explained<I> {
    stream: I,
    connection: Arc<Connection>,
    /// The last piece was not written as a whole: what comes next is the rest of an answer, whatever it looks like.
    inside: bool,
    /// What is written in place of hyper's answer, and how much of that has been.
    answer: Option<(Vec<u8>, usize)>,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<I> Explained<I> {
    pub(super) fn new(stream: I, connection: Arc<Connection>) -> Self {
        Self { stream, connection, inside: false, answer: None, lingering: None }
    }

    /// A body may look like an answer of hyper, for its author may want it to: only where no answer is under way it can be one.
    fn refusal(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let between = !self.inside && !self.connection.is_asked();
        own_status(bytes).filter(|_| between).and_then(unreadable)
    }

    fn noted(&mut self, written: Poll<io::Result<usize>>, offered: usize) -> Poll<io::Result<usize>> {
        self.inside = match written {
            Poll::Ready(Ok(bytes)) => bytes < offered,
            // Nothing of it was written; what was offered comes again.
            Poll::Ready(Err(_)) | Poll::Pending => self.inside,
        };
        written
    }
}

/// The status of an answer that is hyper's own: ours have a body and an id.
fn own_status(bytes: &[u8]) -> Option<u16> {
    if !bytes.starts_with(b"HTTP/1.1 4") || !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?;
    let is_bare = head.contains("\r\ncontent-length: 0\r\n") && !head.contains("\r\nx-request-id:");
    head.get(9..12).filter(|_| is_bare)?.parse().ok()
}

impl<I: AsyncWrite + Unpin> Explained<I> {
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((answer, written)) = &mut self.answer else { return Poll::Ready(Ok(())) };
        while *written < answer.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &answer[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => *written += bytes,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Explained<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Explained<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // hyper writes an answer of its own in one piece, and nothing after it.
        if let Some(answer) = self.refusal(bytes) {
            self.answer = Some((answer, 0));
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(written, bytes.len())
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match slices {
            [one] => self.poll_write(context, one),
            several => {
                let written = Pin::new(&mut self.stream).poll_write_vectored(context, several);
                self.noted(written, several.iter().map(|slice| slice.len()).sum())
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.answer.is_none() {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        let lingering = this.lingering.get_or_insert_with(|| Box::pin(sleep(LINGERING)));
        let mut unread = [0; 4 << 10];
        while lingering.as_mut().poll(context).is_pending() {
            let mut unread = ReadBuf::new(&mut unread);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut unread)) {
                Ok(()) if !unread.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_ours_is_not_taken_for_one_of_hyper() {
        let head = |status: &str, headers: &str| own_status(format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n").as_bytes());
        assert_eq!(head("400 Bad Request", "connection: close\r\ncontent-length: 0\r\ndate: now"), Some(400));
        assert_eq!(head("431 Request Header Fields Too Large", "content-length: 0\r\ndate: now"), Some(431));
        assert_eq!(head("404 Not Found", "content-length: 0\r\nx-request-id: 01"), None);
        assert_eq!(head("404 Not Found", "content-length: 20"), None);
        assert_eq!(head("204 No Content", "content-length: 0\r\ndate: now"), None);
        assert_eq!(own_status(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: now\r\n\r\n{}"), None);
    }

    #[test]
    fn a_body_that_looks_like_one_stays_as_it_is() {
        let connection = Arc::new(Connection::new(1, None));
        let mut stream = Explained::new((), Arc::clone(&connection));
        let bytes = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        assert!(stream.refusal(bytes).is_some());
        let request = connection.begin(hyper::Version::HTTP_11);
        assert!(stream.refusal(bytes).is_none(), "it is being answered");
        drop(request);
        let _ = stream.noted(Poll::Ready(Ok(10)), 20);
        assert!(stream.refusal(bytes).is_none(), "the rest of the answer is still to be written");
        let _ = stream.noted(Poll::Ready(Ok(10)), 10);
        assert!(stream.refusal(bytes).is_some());
    }
}

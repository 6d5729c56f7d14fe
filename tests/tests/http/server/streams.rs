//! HTTP/2, frame by frame: streams that are opened and reset in a flood, and heads that never end.

use tests::Raw;

use super::with;

/// The preface, empty settings, and the acknowledgement of the server's.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";

/// GET / of the authority `x`, without the dynamic table.
const HEAD: &[u8] = b"\x82\x86\x84\x01\x01x";

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let app = with(&[]).await;
    let mut raw = Raw::open(&app).await;
    raw.send(BEGIN).await.expect("a beginning");
    let one = |stream: u32| [frame(HEADERS, END_STREAM | END_HEADERS, stream, HEAD), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
    let flood: Vec<u8> = (0..10_000).flat_map(|number| one(2 * number + 1)).collect();
    // The server closes before all of them are sent.
    let _ = raw.send(&flood).await;
    raw.closed().await;
    app.anonymous().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn a_head_in_endless_pieces_ends_the_connection() {
    let app = with(&[("HEADER_READ_SECONDS", "1")]).await;
    let mut raw = Raw::open(&app).await;
    raw.send([BEGIN, &frame(HEADERS, END_STREAM, 1, HEAD)].concat()).await.expect("a beginning");
    // A literal header of 1,000 bytes in every piece.
    let piece = [b"\0\x01a\x7f\xe9\x06".as_slice(), &[b'a'; 1_000]].concat();
    for _ in 0..200 {
        if raw.send(frame(CONTINUATION, 0, 1, &piece)).await.is_err() {
            break;
        }
    }
    raw.closed().await;
    let mut half = Raw::open(&app).await;
    half.send([BEGIN, &frame(HEADERS, END_STREAM, 1, HEAD)].concat()).await.expect("a beginning");
    half.closed().await;
    app.anonymous().get("/readyz").await.expect(200);
}

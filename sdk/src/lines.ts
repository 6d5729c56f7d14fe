/** Reads newline-delimited JSON as it arrives. */

/** Each line of the stream as a value. What breaks off ends with an error. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<unknown, void> {
  const reader = stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const pieces = (rest + part.value).split("\n");
      rest = pieces.pop() ?? "";
      for (const piece of pieces) if (piece !== "") yield JSON.parse(piece);
    }
    if (rest !== "") yield JSON.parse(rest);
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/**
 * Sends a request again that got no answer, or one that says when to come back. Reads can be repeated as they are; a write
 * gets an `Idempotency-Key`, so that it happens once whichever of its answers was lost.
 */
import type { Fetch } from "./transport.js";

/** The longest wait for a server that asks for one. */
const WAIT_MAX_MS = 30_000;

/** `fetch` that repeats a request at most `retries` times. */
export function retrying(fetch: Fetch, retries: number): Fetch {
  if (retries <= 0) return fetch;
  return async (first) => {
    let request = keyed(first);
    for (let made = 0; ; made += 1) {
      const again = made < retries && isRepeatable(request) ? request.clone() : null;
      const outcome = await fetch(request).catch((error: unknown) => new Failure(error));
      if (!(outcome instanceof Failure)) {
        if (!again || !asksToComeBack(outcome)) return outcome;
      } else if (!again || request.signal.aborted) {
        throw outcome.error;
      }
      await wait(delayMs(outcome, made), request.signal);
      request = again;
    }
  };
}

/** No answer at all. */
class Failure {
  constructor(readonly error: unknown) {}
}

/** The same write with a key, if it is one of records and by somebody who is known. */
function keyed(request: Request): Request {
  const isWrite = !isRead(request) && /\/api\/(records\/[^/]+(\/(?!import$)[^/]+)?|batch)$/.test(new URL(request.url).pathname);
  if (isWrite && request.headers.has("Authorization") && !request.headers.has("Idempotency-Key")) {
    request.headers.set("Idempotency-Key", crypto.randomUUID());
  }
  return request;
}

function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

function isRepeatable(request: Request): boolean {
  return isRead(request) || request.headers.has("Idempotency-Key");
}

function asksToComeBack({ status, headers }: Response): boolean {
  return [409, 429, 503].includes(status) && headers.has("Retry-After");
}

/** What the server says, or twice as long each time; spread, so that clients do not come back all at once. */
function delayMs(outcome: Response | Failure, made: number): number {
  const told = outcome instanceof Failure ? Number.NaN : Number(outcome.headers.get("Retry-After")) * 1000;
  const wanted = told > 0 ? told : 200 * 2 ** made;
  return Math.min(wanted, WAIT_MAX_MS) * (1 + Math.random() / 4);
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

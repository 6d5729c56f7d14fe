/** Puts the parts together: one transport, one session, and the two things made of them, `auth` and `collection`. */
import createFetchClient, { type Client as FetchClient } from "openapi-fetch";
import { Auth } from "./auth.js";
import { Batch } from "./batch.js";
import { Collection } from "./records.js";
import { retrying } from "./retry.js";
import { Session } from "./session.js";
import { memoryTokens, type TokenStorage } from "./tokens.js";
import { send, type Fetch } from "./transport.js";
import type { CollectionName, CollectionTypes } from "./types.js";

export interface ClientOptions {
  /** Where the server is, as `https://api.example.com`. */
  url: string;
  /** Where the tokens of the session are kept; in memory when absent. */
  tokens?: TokenStorage;
  /** What sends the requests; the platform's `fetch` when absent. */
  fetch?: Fetch;
  /**
   * How often a request is repeated that got no answer, or was told to come back (too many requests, too many writers, a
   * server that starts). Writes of records then carry an `Idempotency-Key`, so that they happen once. 0 when absent.
   */
  retries?: number;
}

export interface Client<Paths extends {}> {
  /** Sign in, stay signed in, sign out. */
  readonly auth: Auth<Paths>;
  /** Every other path of the server, typed; answers `{data, error}` and does not throw for an error answer. */
  readonly api: FetchClient<Paths>;
  /** Writes to several collections in one transaction: add operations, then `send`. */
  batch(): Batch<Paths>;
  /** The records of one collection. */
  collection<Name extends CollectionName<Paths>>(name: Name): Collection<CollectionTypes<Paths, Name>>;
}

/** Lists have commas between their entries. */
const querySerializer = { array: { style: "form", explode: false } } as const;

/** A client of the server at `options.url`; `Paths` is what `ironrule-types` wrote for that server. */
export function createClient<Paths extends {}>(options: ClientOptions): Client<Paths> {
  const plainFetch = retrying(options.fetch ?? ((request) => globalThis.fetch(request)), options.retries ?? 0);
  const plain = send(createFetchClient({ baseUrl: options.url, fetch: plainFetch, querySerializer }));
  const session = new Session(options.tokens ?? memoryTokens(), plain);
  const api = createFetchClient<Paths>({ baseUrl: options.url, fetch: session.fetch(plainFetch), querySerializer });
  const signed = send(api);
  return {
    auth: new Auth<Paths>(session, plain, signed),
    api,
    batch: () => new Batch<Paths>(signed),
    collection: <Name extends CollectionName<Paths>>(name: Name) =>
      new Collection<CollectionTypes<Paths, Name>>(name, signed),
  };
}

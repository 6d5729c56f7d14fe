/** The records of one collection: the paths under `/api/records/NAME`. */
import { lines } from "./lines.js";
import type { Answer, Call, Send } from "./transport.js";
import type { AnyCollection } from "./types.js";

export interface CallOptions {
  signal?: AbortSignal;
}

export interface CreateOptions extends CallOptions {
  /**
   * Makes the write happen once: the same write with the same key within a day gets the answer that it had. Only for those
   * who are signed in. A client with `retries` makes keys of its own.
   */
  idempotencyKey?: string | undefined;
}

export interface WriteOptions extends CreateOptions {
  /** Write only if the record is still the one with this tag (see `etag`); otherwise 412 `record.version_mismatch`. */
  ifMatch?: string | undefined;
}

export interface BulkOptions extends CreateOptions {
  /** Which records are meant: a condition, as in lists. */
  filter: string;
  /** How many there may be at most, up to 1,000; if there are more, it is 409 and nothing is written. */
  max: number;
  /** Do everything, rules included, and undo it: the answer is that of the real thing. */
  dryRun?: boolean;
}

/** What a write by filter has done, or would do. */
export interface BulkReport {
  /** How many records the filter means. */
  matched: number;
  /** How many were changed or deleted. */
  changed: number;
  ids: string[];
  dryRun: boolean;
}

export interface UpsertOptions extends CreateOptions {
  /** The unique field (or fields, with commas) by which the record is found; or `id`. */
  on: string;
}

export interface Page<Record> {
  items: Record[];
  /** Opaque; give it as `cursor` to get the page that follows. `null` on the last page. */
  nextCursor: string | null;
  /** How many records match, on all pages; `null` unless asked for with `count: "exact"`. */
  total: number | null;
}

/** Beside the records and not in them, so that a record can be sent back as it came. */
const etags = new WeakMap<object, string>();

/** Keeps the version of a record for `etag`. */
export function remember(record: object, tag: string): void {
  etags.set(record, tag);
}

/** The version of a record that was read or written alone or in a batch; not known of records in a list. */
export function etag(record: object): string | undefined {
  return etags.get(record);
}

/** `Types` are found by `createClient` from the name of the collection. */
export class Collection<Types extends AnyCollection> {
  constructor(
    readonly name: string,
    private readonly send: Send,
  ) {}

  /** One page. */
  list(query: Types["query"] & { fields: {} }, options?: CallOptions): Promise<Page<Partial<Types["record"]>>>;
  list(query?: Types["query"] & { fields?: undefined }, options?: CallOptions): Promise<Page<Types["record"]>>;
  async list(query?: Types["query"], options?: CallOptions): Promise<Page<unknown>> {
    const { body, headers } = await this.#many("get", { query, signal: options?.signal });
    const total = headers.get("x-total-count");
    return {
      items: body as unknown[],
      nextCursor: headers.get("x-next-cursor"),
      total: total === null ? null : Number(total),
    };
  }

  /** Every record that matches, page by page as they are wanted. `limit` is the size of a page. */
  all(query: Types["query"] & { fields: {} }, options?: CallOptions): AsyncGenerator<Partial<Types["record"]>, void>;
  all(query?: Types["query"] & { fields?: undefined }, options?: CallOptions): AsyncGenerator<Types["record"], void>;
  async *all(query?: Types["query"], options?: CallOptions): AsyncGenerator<unknown, void> {
    let next: object | null = { ...query };
    while (next) {
      const page: Page<unknown> = await this.list(next, options);
      yield* page.items;
      next = page.nextCursor === null ? null : { ...query, offset: undefined, cursor: page.nextCursor };
    }
  }

  async create(draft: Types["create"], options?: CreateOptions): Promise<Types["record"]> {
    return record(await this.#many("post", { body: draft, ...write(options) }));
  }

  /** Creates all of up to 1,000 records, or none. */
  async createMany(drafts: readonly Types["create"][], options?: CreateOptions): Promise<Types["record"][]> {
    return (await this.#many("post", { body: drafts, ...write(options) })).body as Types["record"][];
  }

  /** Creates the record, or changes the one that has the same value in `options.on`. */
  async upsert(draft: Types["create"], options: UpsertOptions): Promise<Types["record"]> {
    return record(await this.#many("post", { body: draft, query: { upsert: options.on }, ...write(options) }));
  }

  /** Creates or changes all of up to 1,000 records, or none. */
  async upsertMany(drafts: readonly Types["create"][], options: UpsertOptions): Promise<Types["record"][]> {
    const { body } = await this.#many("post", { body: drafts, query: { upsert: options.on }, ...write(options) });
    return body as Types["record"][];
  }

  async get(id: string, options?: CallOptions): Promise<Types["record"]> {
    return record(await this.#one("get", id, { signal: options?.signal }));
  }

  /**
   * Changes the fields in `change` and leaves the others; `null` empties a field, and a name with `+` or `-` behind it adds
   * to what is stored or takes from it.
   */
  async update(id: string, change: Types["update"], options?: WriteOptions): Promise<Types["record"]> {
    return record(await this.#one("patch", id, { body: change, ...write(options) }));
  }

  /** Puts `draft` in place of the record: fields that are absent become empty. */
  async replace(id: string, draft: Types["replace"], options?: WriteOptions): Promise<Types["record"]> {
    return record(await this.#one("put", id, { body: draft, ...write(options) }));
  }

  /** Returns the record as it was. */
  async delete(id: string, options?: WriteOptions): Promise<Types["record"]> {
    return record(await this.#one("delete", id, write(options)));
  }

  /** Changes all records that the filter means, or none. */
  async updateAll(change: Types["update"], options: BulkOptions): Promise<BulkReport> {
    return report(await this.#many("patch", { body: change, ...selection(options) }));
  }

  /** Deletes all records that the filter means, or none. */
  async deleteAll(options: BulkOptions): Promise<BulkReport> {
    return report(await this.#many("delete", selection(options)));
  }

  /** Counts, sums and compares the records that match, by group. */
  async aggregate(query?: Types["aggregateQuery"], options?: CallOptions): Promise<Types["group"][]> {
    const path = "/api/records/{collection}/aggregate";
    const { body } = await this.send("get", path, { path: { collection: this.name }, query, signal: options?.signal });
    return body as Types["group"][];
  }

  /** Every record that matches, in one answer that is read as it arrives: for whole collections. */
  export(query: Types["exportQuery"] & { fields: {} }, options?: CallOptions): AsyncGenerator<Partial<Types["record"]>, void>;
  export(query?: Types["exportQuery"] & { fields?: undefined }, options?: CallOptions): AsyncGenerator<Types["record"], void>;
  async *export(query?: Types["exportQuery"], options?: CallOptions): AsyncGenerator<unknown, void> {
    const path = "/api/records/{collection}/export";
    const call = { path: { collection: this.name }, query, signal: options?.signal, parseAs: "stream" } as const;
    yield* lines((await this.send("get", path, call)).body as ReadableStream<Uint8Array>);
  }

  #many(method: "get" | "post" | "patch" | "delete", call: Call): Promise<Answer> {
    return this.send(method, "/api/records/{collection}", { ...call, path: { collection: this.name } });
  }

  #one(method: "get" | "patch" | "put" | "delete", id: string, call: Call): Promise<Answer> {
    return this.send(method, "/api/records/{collection}/{id}", { ...call, path: { collection: this.name, id } });
  }
}

function record({ body, headers }: Answer): object {
  const tag = headers.get("etag");
  if (tag !== null) remember(body as object, tag);
  return body as object;
}

function selection({ filter, max, dryRun, ...options }: BulkOptions): Call {
  return { query: { filter, max, dry_run: dryRun }, ...write(options) };
}

function report({ body }: Answer): BulkReport {
  const { dry_run: dryRun, ...others } = body as Omit<BulkReport, "dryRun"> & { dry_run: boolean };
  return { ...others, dryRun };
}

function write(options?: WriteOptions): Call {
  const headers = { "If-Match": options?.ifMatch, "Idempotency-Key": options?.idempotencyKey };
  return { headers, signal: options?.signal };
}

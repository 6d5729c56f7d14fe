/** JSON, as it comes from records. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** A stored record: decimals and large integers are texts, datetimes RFC 3339, relations ids. */
export type Stored<T> = T & { id: string; created: string; updated: string };

export type Operation = "create" | "update" | "delete";

/** What a rule is asked, and how it answers. */
export interface Context<T = Record<string, any>> {
  readonly rule: string;
  readonly hook: string;
  /** `create`, `update`, `delete`; `job` or `tick` where no write is the reason. */
  readonly operation: string;
  readonly collection: string;
  /** Known before the record is written, for `create` too. */
  readonly id: string;
  /** The stored record; null when it is created. */
  readonly before: Stored<T> | null;
  /** The record as it is about to be written (not yet validated!), or as it was written; null when it is deleted. For a job what it was given. */
  readonly after: Partial<T> | null;
  /** Who asked; null for nobody known. */
  readonly caller: ({ principal: string; id: string | null; roles?: string[] } & Record<string, any>) | null;
  readonly tenant: string;
  /** The moment of the transaction. */
  readonly now: string;
  /** The id of the request. */
  readonly request: string;
  /** 1, 2 and so on for what is delivered after the commit. */
  readonly attempt?: number;
  /** The same for each attempt: what has seen it before has been done. */
  readonly delivery?: string;
  readonly scheduledAt?: string;
  /** True where nothing that the rule does is done. */
  readonly dryRun: boolean;
  /** Refuses a value; all of them are answered together. `path` is a JSON pointer into `after`, the message is the code unless given. */
  fail(path: string, code: string, message?: string, params?: object): void;
  /** Changes the record before it is validated and written. */
  patch(values: Partial<T>): void;
  /** Refuses the whole write. */
  reject(kind: "invalid" | "conflict" | "forbidden" | "retry", message: string, details?: object): never;
}

/** A request to an endpoint. */
export interface Request {
  method: string;
  path: string;
  params: Record<string, string>;
  query: Record<string, string>;
  /** Lower-case names, without credentials. */
  headers: Record<string, string>;
  /** The body if it is JSON. */
  body: any;
  text: string;
}

/**
 * What an endpoint answers; nothing is a 204. Anything else becomes the body of a 200: whatever has another member, or a `status` that is no
 * integer from 100 to 599 (200 to 499 can be sent), and whatever has none of `status`, `body` and `text`. For a record write `{ body: record }`.
 */
export interface Response {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
  text?: string;
}

export interface Rule {
  name: string;
  hook: string;
}

export interface WriteRule<T = Record<string, any>> {
  name: string;
  collections: string[];
  operations: Operation[];
  /** Rules with a lower number run first. */
  order?: number;
  /** A line for the operator. */
  summary?: string;
  /** Must not be async: host calls answer at once. */
  run(context: Context<T>): void | Partial<T> | null;
}

export function beforeWrite<T = Record<string, any>>(rule: WriteRule<T>): Rule;

/** Without collections and operations the rule runs only as a job. */
export function afterCommit<T = Record<string, any>>(
  rule: Omit<WriteRule<T>, "collections" | "operations" | "run"> & {
    collections?: string[];
    operations?: Operation[];
    run(context: Context<T>): void;
  },
): Rule;

export function scheduled(rule: {
  name: string;
  /** Five fields, in UTC. */
  schedule: string;
  summary?: string;
  run(context: Context): void;
}): Rule;

export function endpoint(rule: {
  name: string;
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/pay/{id}` below `/api/ext/{plugin}`. */
  path: string;
  /** `users` (logged in, the default) or `anyone`. */
  access?: "users" | "anyone";
  summary?: string;
  /** JSON Schemas, for the OpenAPI document. */
  request?: object;
  response?: object;
  run(request: Request, context: Context): Response | Json | void;
}): Rule;

export interface Grants {
  /** Collections whose records may be read by their ids. */
  read?: string[];
  /** Collections that may be searched; whoever writes to them takes turns with the searches. */
  query?: string[];
  write?: string[];
  /** Hosts, such as `api.example.com` or `*.example.com`. */
  webhooks?: string[];
  email?: boolean;
}

export function definePlugin(plugin: {
  name: string;
  version: string;
  grants?: Grants;
  /** `caller`: only what the caller may write as well. */
  writes_as?: "plugin" | "caller";
  settings?: { name: string; secret?: boolean; default?: string; description?: string }[];
  limits?: { call_ms?: number; memory_max_bytes?: number; host_calls?: number; effects?: number };
  rules: Rule[];
}): unknown;

export interface Query {
  /** A condition: `record.owner == "..." && record.status in ["open"]`. */
  filter?: string;
  /** `-created,title` */
  sort?: string;
  limit?: number;
  offset?: number;
  fields?: string[];
}

/** Records, in the transaction of the write that is being checked. */
export const records: {
  get<T = Record<string, any>>(collection: string, id: string): Stored<T> | null;
  getMany<T = Record<string, any>>(collection: string, ids: string[]): (Stored<T> | null)[];
  query<T = Record<string, any>>(collection: string, query?: Query): Stored<T>[];
  create<T = Record<string, any>>(collection: string, content: Partial<T>): Stored<T>;
  update<T = Record<string, any>>(collection: string, id: string, patch: Partial<T> & { [modifier in `${string}+` | `${string}-`]?: unknown }): Stored<T>;
  delete(collection: string, id: string): void;
};

export interface Delivery {
  /** Deliveries of one key keep their order. */
  key?: string;
  delayMs?: number;
  maxAttempts?: number;
}

export function webhook(url: string, body: unknown, options?: Delivery & { method?: string; headers?: Record<string, string> }): string;
export function email(
  message: { to: string | string[]; subject: string; text: string; html?: string; replyTo?: string },
  options?: Delivery,
): string;
export function job(rule: string, data?: unknown, options?: Delivery): string;

export function setting(name: string): string | null;

export const log: Record<"debug" | "info" | "warn" | "error", (...parts: unknown[]) => void>;

/** A host call that did not succeed: `not-allowed`, `not-found`, `exists`, `invalid`, `conflict`, `limit`, `unavailable`. */
export class HostError extends Error {
  code: string;
  details: any;
}

export class Rejection extends Error {
  constructor(kind: "invalid" | "conflict" | "forbidden" | "retry", message: string, details?: object);
  kind: string;
  details: object;
}

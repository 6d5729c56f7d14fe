/**
 * A typed client of an Ironrule server. The types come from the running server (`ironrule-types`), so this package knows
 * no collection by name: it owns signing in, errors and paging, and leaves the wire to `openapi-fetch`.
 */
export { createClient, type Client, type ClientOptions } from "./client.js";
export {
  Collection,
  etag,
  type BulkOptions,
  type BulkReport,
  type CallOptions,
  type CreateOptions,
  type Page,
  type UpsertOptions,
  type WriteOptions,
} from "./records.js";
export type { Batch, MatchOptions, Reference, Step, WithReferences } from "./batch.js";
export { Problem, type FieldError } from "./problem.js";
export type { Account, Auth, Identity, Login } from "./auth.js";
export { browserTokens, memoryTokens, type Tokens, type TokenStorage } from "./tokens.js";
export type { Change, CollectionName, Draft, ListQuery, RecordOf, Replacement } from "./types.js";

/** Writes to several collections in one transaction: the path `/api/batch`. */
import { remember, type CreateOptions } from "./records.js";
import type { Send } from "./transport.js";
import type { Change, CollectionName, Draft, RecordOf, Replacement } from "./types.js";

/** Stands for a field of the result of an earlier operation of the same batch. */
export interface Reference {
  readonly $ref: string;
}

/** A body in which references may stand for values. */
export type WithReferences<Body> = {
  [Field in keyof Body]: Body[Field] | Reference | (NonNullable<Body[Field]> extends readonly (infer Element)[] ? (Element | Reference)[] : never);
};

export interface MatchOptions {
  /** Write only if the record still has this tag (see `etag`). */
  ifMatch?: string | undefined;
}

/** One operation of a batch. What it did can be read as soon as the batch was sent. */
export class Step<Record extends object> {
  #result: { status: number; record: Record } | null = null;

  constructor(
    private readonly operation: Operation,
    private readonly position: number,
  ) {}

  /** What a later operation writes in the place of this field of the result. */
  ref(field: keyof Record & string): Reference {
    this.operation.as ??= `step${this.position}`;
    return { $ref: `${this.operation.as}.${field}` };
  }

  /** The record as it is now; a deleted one as it was. */
  get record(): Record {
    return this.#done().record;
  }

  /** True if the record is new. */
  get isNew(): boolean {
    return this.#done().status === 201;
  }

  /** Takes over the answer of the server. */
  settle({ status, etag, record }: Result): void {
    remember(record, etag);
    this.#result = { status, record: record as Record };
  }

  #done() {
    if (!this.#result) throw new Error("the batch was not sent yet");
    return this.#result;
  }
}

/** Operations in order: `send` does all of them, or none. */
export class Batch<Paths> {
  readonly #operations: Operation[] = [];
  readonly #steps: Step<any>[] = [];

  constructor(private readonly request: Send) {}

  create<Name extends CollectionName<Paths>>(collection: Name, draft: WithReferences<Draft<Paths, Name>>): Step<RecordOf<Paths, Name>> {
    return this.#add({ op: "create", collection, record: draft });
  }

  /** Creates the record, or changes the one that has the same value in `on`: `id`, or a unique field or several with commas. */
  upsert<Name extends CollectionName<Paths>>(
    collection: Name,
    draft: WithReferences<Draft<Paths, Name>>,
    { on, ifMatch }: MatchOptions & { on: string },
  ): Step<RecordOf<Paths, Name>> {
    return this.#add({ op: "upsert", collection, record: draft, on: on.split(","), if_match: ifMatch });
  }

  update<Name extends CollectionName<Paths>>(
    collection: Name,
    id: string | Reference,
    change: WithReferences<Change<Paths, Name>>,
    { ifMatch }: MatchOptions = {},
  ): Step<RecordOf<Paths, Name>> {
    return this.#add({ op: "update", collection, id, record: change, if_match: ifMatch });
  }

  replace<Name extends CollectionName<Paths>>(
    collection: Name,
    id: string | Reference,
    draft: WithReferences<Replacement<Paths, Name>>,
    { ifMatch }: MatchOptions = {},
  ): Step<RecordOf<Paths, Name>> {
    return this.#add({ op: "replace", collection, id, record: draft, if_match: ifMatch });
  }

  delete<Name extends CollectionName<Paths>>(
    collection: Name,
    id: string | Reference,
    { ifMatch }: MatchOptions = {},
  ): Step<RecordOf<Paths, Name>> {
    return this.#add({ op: "delete", collection, id, if_match: ifMatch });
  }

  /** Does everything in one transaction. Afterwards each step knows its record. */
  async send({ idempotencyKey, signal }: CreateOptions = {}): Promise<void> {
    const headers = { "Idempotency-Key": idempotencyKey };
    const { body } = await this.request("post", "/api/batch", { body: { operations: this.#operations }, headers, signal });
    (body as { results: Result[] }).results.forEach((result, position) => this.#steps[position]?.settle(result));
  }

  #add<Record extends object>(operation: Operation): Step<Record> {
    const step = new Step<Record>(operation, this.#operations.length);
    this.#operations.push(operation);
    this.#steps.push(step);
    return step;
  }
}

interface Operation {
  op: "create" | "update" | "replace" | "delete" | "upsert";
  collection: string;
  id?: string | Reference;
  record?: object;
  on?: string[];
  if_match?: string | undefined;
  as?: string;
}

interface Result {
  status: number;
  etag: string;
  record: object;
}

/** Reads a server's `paths`: which collections it has, and what their drafts, records and list parameters look like. */

/** The collections of the server that `Paths` was generated from. */
export type CollectionName<Paths> = keyof Paths extends infer Path
  ? Path extends `/api/records/${infer Name}`
    ? Name extends `${string}/${string}` | `{${string}`
      ? never
      : Name
    : never
  : never;

/** A record of collection `Name`, as the server answers it. */
export type RecordOf<Paths, Name extends CollectionName<Paths>> = CollectionTypes<Paths, Name>["record"];

/** What `create` wants for collection `Name`. */
export type Draft<Paths, Name extends CollectionName<Paths>> = CollectionTypes<Paths, Name>["create"];

/** What `list` and `all` take for collection `Name`. */
export type ListQuery<Paths, Name extends CollectionName<Paths>> = CollectionTypes<Paths, Name>["query"];

/** What `update` takes for collection `Name`. */
export type Change<Paths, Name extends CollectionName<Paths>> = CollectionTypes<Paths, Name>["update"];

/** What `replace` takes for collection `Name`. */
export type Replacement<Paths, Name extends CollectionName<Paths>> = CollectionTypes<Paths, Name>["replace"];

/** The least that the methods of a collection need to know. */
export interface AnyCollection {
  record: object;
  create: object;
  update: object;
  replace: object;
  query: object;
  aggregateQuery: object;
  group: object;
  exportQuery: object;
}

/** Everything about collection `Name` in one place. */
export interface CollectionTypes<Paths, Name extends CollectionName<Paths>> {
  record: Extract<Content<Response<Operation<Paths, `/api/records/${Name}/{id}`, "get">, 200>>, object>;
  /** One record; the document allows an array of them as well. */
  create: One<Body<Operation<Paths, `/api/records/${Name}`, "post">>>;
  update: Modified<One<Body<Operation<Paths, `/api/records/${Name}/{id}`, "patch">>>>;
  replace: One<Body<Operation<Paths, `/api/records/${Name}/{id}`, "put">>>;
  query: Query<Operation<Paths, `/api/records/${Name}`, "get">>;
  aggregateQuery: Query<Operation<Paths, `/api/records/${Name}/aggregate`, "get">>;
  group: One<Member<Content<Response<Operation<Paths, `/api/records/${Name}/aggregate`, "get">, 200>>>>;
  exportQuery: Omit<Query<Operation<Paths, `/api/records/${Name}/export`, "get">>, "format">;
}

/**
 * A change, in which a name with `+` or `-` behind it adds to a number or a list, or takes from it, whatever it holds now:
 * `{"stock-": 1, "tags+": "new"}`. Decimals are text, which here cannot be told from other text: the server refuses that.
 */
export type Modified<Body> = Body & {
  [Field in keyof Body & string as Field extends SystemField ? never : `${Field}+` | `${Field}-`]?: Step<NonNullable<Body[Field]>>;
};

type SystemField = "id" | "created" | "updated";

/** What can be added to a value of this type, or taken from it. */
type Step<Value> = unknown extends Value
  ? unknown
  : Value extends readonly (infer Element)[]
    ? Element | Element[]
    : Value extends number
      ? number
      : Value extends string
        ? string extends Value
          ? string
          : never
        : never;

/** Of a body that is an object or an array of such, the object. */
type One<Body> = Exclude<Extract<Body, object>, readonly unknown[]>;

type Member<List> = List extends readonly (infer Element)[] ? Element : never;

/** A record of the built-in collection `users`. */
export type Account<Paths> = "users" extends CollectionName<Paths> ? RecordOf<Paths, "users"> : Record<string, unknown>;

/** What creates an account: the fields of `users` that the server's document allows, and always these two. */
export type Registration<Paths> = Body<Operation<Paths, "/api/auth/register", "post">> & {
  email: string;
  password: string;
};

type Operation<Paths, Path, Method> = Path extends keyof Paths
  ? Method extends keyof Paths[Path]
    ? Paths[Path][Method]
    : never
  : never;

type Response<Op, Status> = Op extends { responses: infer All } ? (Status extends keyof All ? All[Status] : never) : never;

type Body<Op> = Op extends { requestBody?: infer Request } ? Content<NonNullable<Request>> : never;

type Content<Message> = Message extends { content: infer Media } ? Media[keyof Media] : never;

type Query<Op> = Op extends { parameters: { query?: infer Parameters } } ? NonNullable<Parameters> : {};

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

/** The least that the methods of a collection need to know. */
export interface AnyCollection {
  record: object;
  create: unknown;
  update: unknown;
  replace: unknown;
  query: object;
}

/** Everything about collection `Name` in one place. */
export interface CollectionTypes<Paths, Name extends CollectionName<Paths>> {
  record: Extract<Content<Response<Operation<Paths, `/api/records/${Name}/{id}`, "get">, 200>>, object>;
  /** One record; the document allows an array of them as well. */
  create: Exclude<Body<Operation<Paths, `/api/records/${Name}`, "post">>, readonly unknown[]>;
  update: Body<Operation<Paths, `/api/records/${Name}/{id}`, "patch">>;
  replace: Body<Operation<Paths, `/api/records/${Name}/{id}`, "put">>;
  query: Query<Operation<Paths, `/api/records/${Name}`, "get">>;
}

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

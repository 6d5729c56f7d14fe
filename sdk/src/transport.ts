/**
 * One request and its answer, without types: the seam between `openapi-fetch` and the classes that know what they send.
 * An error answer becomes a thrown `Problem` here and nowhere else.
 */
import type { Client } from "openapi-fetch";
import { Problem } from "./problem.js";

export type Fetch = (request: Request) => Promise<Response>;

export interface Call {
  path?: Record<string, string>;
  query?: object | undefined;
  headers?: Record<string, string | undefined> | undefined;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** How the body of a good answer is read; JSON when absent. */
  parseAs?: "stream";
}

export interface Answer {
  body: unknown;
  headers: Headers;
}

export type Send = (method: "get" | "post" | "patch" | "put" | "delete", path: string, call?: Call) => Promise<Answer>;

/** Sends through `client`; the types of the callers stand in for those that are given up here. */
export function send(client: Client<any>): Send {
  const request = client.request as (method: string, path: string, init: object) => Promise<Outcome>;
  return async (method, path, { path: pathParams, query, ...rest } = {}) => {
    const { data, error, response } = await request(method, path, { params: { path: pathParams, query }, ...rest });
    if (!response.ok) throw Problem.of(response, error);
    return { body: data, headers: response.headers };
  };
}

interface Outcome {
  data?: unknown;
  error?: unknown;
  response: Response;
}

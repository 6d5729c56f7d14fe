/** What the server answers when it refuses, as one error class. A request that got no answer stays what `fetch` threw. */

export interface FieldError {
  /** JSON pointer into the body that was sent, as `/items/0/quantity`; `/name` for a query parameter. */
  pointer: string;
  /** Stable, as `field.required`. */
  code: string;
  /** A sentence for people. */
  message: string;
}

/** An error answer (RFC 9457). `code` is stable and meant to be compared; `message` is meant to be shown. */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    readonly status: number,
    /** `http.STATUS` when something between here and the server answered, and not the server. */
    readonly code: string,
    message: string,
    /** One for every wrong part of the input; empty when the input is not the reason. */
    readonly errors: readonly FieldError[],
    /** Finds the request in the server's log. */
    readonly requestId: string | null,
    /** On refusals by policies: under this id whoever may read policies finds out why. */
    readonly decisionId: string | null = null,
  ) {
    super(message);
  }

  /** The problem in an error answer whose body is `body`: parsed JSON, or text. */
  static of(response: Response, body: unknown): Problem {
    const problem = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
    return new Problem(
      response.status,
      text(problem["code"]) ?? `http.${response.status}`,
      text(problem["message"]) ?? text(problem["title"]) ?? `the server answered ${response.status}`,
      Array.isArray(problem["errors"]) ? problem["errors"] : [],
      text(problem["request_id"]) ?? response.headers.get("x-request-id"),
      text(problem["decision_id"]),
    );
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

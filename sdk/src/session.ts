/**
 * Who is signed in: puts the access token on requests, and renews it once, for all requests that wait, when the server
 * calls it invalid. Leaves what the tokens are stored in to `tokens.ts`.
 */
import { Problem } from "./problem.js";
import type { Tokens, TokenStorage } from "./tokens.js";
import type { Fetch, Send } from "./transport.js";

export class Session {
  #renewal: Promise<Tokens> | null = null;

  constructor(
    readonly tokens: TokenStorage,
    private readonly plain: Send,
  ) {}

  /** `fetch` that signs requests, and repeats one after a renewal. */
  fetch(fetch: Fetch): Fetch {
    return async (request) => {
      const held = await this.tokens.load();
      if (!held) return fetch(request);
      const again = held.refreshToken ? request.clone() : null;
      const response = await fetch(signed(request, held));
      if (!again || !(await isInvalidToken(response))) return response;
      try {
        return await fetch(signed(again, await this.renew(held)));
      } catch (error) {
        if (isRefusal(error)) return response;
        throw error;
      }
    };
  }

  /** Tokens to use in place of `rejected`; one request to the server, however many ask at once. */
  renew(rejected: Tokens): Promise<Tokens> {
    this.#renewal ??= this.#exclusive(() => this.#renew(rejected)).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #renew(rejected: Tokens): Promise<Tokens> {
    const held = await this.tokens.load();
    if (held && held.accessToken !== rejected.accessToken) return held;
    if (!held?.refreshToken) throw new Problem(401, "auth.required", "nobody is logged in", [], null);
    try {
      const { body } = await this.plain("post", "/api/auth/refresh", { body: { refresh_token: held.refreshToken } });
      await this.#replace(held, tokensOf(body));
    } catch (error) {
      if (isRefusal(error)) await this.#replace(held, null);
      throw error;
    }
    return (await this.tokens.load()) ?? held;
  }

  /** A logout or a login while the server was being asked wins over the server's answer. */
  async #replace(held: Tokens, next: Tokens | null): Promise<void> {
    const now = await this.tokens.load();
    if (now?.refreshToken === held.refreshToken) await this.tokens.save(next);
  }

  #exclusive(work: () => Promise<Tokens>): Promise<Tokens> {
    return this.tokens.exclusive ? this.tokens.exclusive(work) : work();
  }
}

/** The tokens in the answer to a login or a refresh. */
export function tokensOf(body: unknown): Tokens {
  const { access_token, refresh_token } = body as { access_token: string; refresh_token: string };
  return { accessToken: access_token, refreshToken: refresh_token };
}

function signed(request: Request, { accessToken }: Tokens): Request {
  request.headers.set("Authorization", `Bearer ${accessToken}`);
  return request;
}

/** An expired token and a wrong one look alike here; a refusal for another reason would not be cured by a new token. */
async function isInvalidToken(response: Response): Promise<boolean> {
  if (response.status !== 401) return false;
  const body = await response.clone().json().catch(() => null);
  return body?.code === "auth.invalid_token";
}

/** The server knows no such session, or no longer. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Problem && error.status === 401;
}

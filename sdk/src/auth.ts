/** Sign in, stay signed in, sign out: the paths under `/api/auth`. The tokens themselves are kept by `session.ts`. */
import { isRefusal, tokensOf, type Session } from "./session.js";
import type { Send } from "./transport.js";
import type { Account, Registration } from "./types.js";

export type { Account } from "./types.js";

export interface Login {
  /** The e-mail address of the account. */
  identity: string;
  password: string;
}

/** Who the server takes the caller for. */
export interface Identity<Paths> {
  /** As `user:ID`. */
  principal: string;
  roles: string[];
  record: Account<Paths> | null;
}

export class Auth<Paths> {
  constructor(
    private readonly session: Session,
    private readonly plain: Send,
    private readonly signed: Send,
  ) {}

  /** Creates an account; does not sign in. */
  async register(draft: Registration<Paths>): Promise<Account<Paths>> {
    const { body } = await this.plain("post", "/api/auth/register", { body: draft });
    return body as Account<Paths>;
  }

  /** Signs in; the requests that follow carry the token. */
  async login(login: Login): Promise<Account<Paths>> {
    const { body } = await this.plain("post", "/api/auth/login", { body: login });
    await this.session.tokens.save(tokensOf(body));
    return (body as { record: Account<Paths> }).record;
  }

  /** New tokens now. Rarely needed: a request that meets an expired token does this by itself. */
  async refresh(): Promise<void> {
    await this.session.renew((await this.session.tokens.load()) ?? { accessToken: "" });
  }

  /** Ends the session at the server, if it has not ended, and forgets the tokens also when the server cannot be reached. */
  async logout(): Promise<void> {
    if (!(await this.session.tokens.load())) return;
    try {
      await this.signed("post", "/api/auth/logout", { body: {} });
    } catch (error) {
      if (!isRefusal(error)) throw error;
    } finally {
      await this.session.tokens.save(null);
    }
  }

  /** Who is signed in. */
  async me(): Promise<Identity<Paths>> {
    const { body } = await this.signed("get", "/api/auth/me");
    return body as Identity<Paths>;
  }
}

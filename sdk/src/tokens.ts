/** Where the tokens of a session live between requests. Implement `TokenStorage` for anything that is not here. */

export interface Tokens {
  accessToken: string;
  /** Without one the session ends with the access token. */
  refreshToken?: string | undefined;
}

export interface TokenStorage {
  load(): Tokens | null | Promise<Tokens | null>;
  /** `null` when the session is over: the place to send the user to the login page. */
  save(tokens: Tokens | null): void | Promise<void>;
  /**
   * Runs `work` while nobody else who shares these tokens does. A refresh token works once and ends the session when it
   * is used again, so storage that is shared (by tabs, by processes) must have this.
   */
  exclusive?<T>(work: () => Promise<T>): Promise<T>;
}

/** Forgotten with the page or the process. */
export function memoryTokens(tokens: Tokens | null = null): TokenStorage {
  return {
    load: () => tokens,
    save: (next) => {
      tokens = next;
    },
  };
}

/**
 * Shared by all tabs of one origin, until logout. Any script of the page can read them. In IndexedDB and not in
 * localStorage: with the latter a tab that has just got the lock may still read what was there before, and then spends a
 * refresh token for the second time.
 */
export function browserTokens(name = "ironrule"): TokenStorage {
  let database: Promise<IDBDatabase> | null = null;
  const forget = () => {
    database = null;
  };
  async function store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    database ??= open(name, forget);
    return (await database).transaction("tokens", mode).objectStore("tokens");
  }
  return {
    load: async () => (await answer<Tokens | undefined>((await store("readonly")).get("session"))) ?? null,
    save: async (tokens) => {
      const opened = await store("readwrite");
      await (tokens ? answer(opened.put(tokens, "session")) : answer(opened.delete("session")));
    },
    // Awaited inside: TypeScript's types of `request` lose the promise that the callback returns.
    exclusive: async (work) => await navigator.locks.request(name, work),
  };
}

/** `closed` is called when there is no database after all: it did not open, or the user cleared the site's data. */
function open(name: string, closed: () => void): Promise<IDBDatabase> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("tokens");
  opening.onsuccess = () => opening.result.addEventListener("close", closed);
  opening.onerror = closed;
  return answer(opening);
}

/** Transactions that overlap run one after the other, so what was put is there for whoever asks next, in any tab. */
function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

/** What tests do as the admin, through the public API. */

const url = process.env.IRONRULE_URL;

/** Creates a collection and returns its definition. */
export function createCollection(definition) {
  return request("POST", "/api/collections", definition);
}

/** Drops a collection with its records. */
export function dropCollection(name) {
  return request("DELETE", `/api/collections/${name}?force=true`);
}

/** Sends a request as the admin; returns the JSON of the answer. */
export async function request(method, path, body) {
  return send(method, path, body, { Authorization: `Bearer ${await adminToken()}` });
}

/** A token of the admin. */
export async function adminToken() {
  const login = { identity: process.env.IRONRULE_ADMIN_EMAIL, password: process.env.IRONRULE_ADMIN_PASSWORD };
  return (await send("POST", "/api/auth/login", login)).access_token;
}

async function send(method, path, body, headers = {}) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...headers, ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body && JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${answer}`);
  return answer ? JSON.parse(answer) : null;
}

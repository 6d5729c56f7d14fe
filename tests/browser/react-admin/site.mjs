/** Builds the application and serves it at an origin of its own, which is not the server's. */
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const clients = fileURLToPath(new URL("../../clients/", import.meta.url));
const require = createRequire(clients);

/** Serves the application for the server at `api`; returns what stops that. */
export async function serveApp(origin, api) {
  const script = await bundle();
  const page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Posts</title><link rel="icon" href="data:,">
<meta name="api" content="${api}"></head><body><div id="root"></div><script src="/app.js"></script></body></html>`;
  const server = createServer((request, response) => {
    const isScript = request.url === "/app.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : page);
  });
  server.listen(new URL(origin).port, "127.0.0.1");
  await once(server, "listening");
  return async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
}

async function bundle() {
  const { build } = require("esbuild");
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("./app.jsx", import.meta.url))],
    nodePaths: [`${clients}node_modules`],
    bundle: true,
    write: false,
    minify: true,
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "error",
  });
  return outputFiles[0].contents;
}

// Preloaded: in node the interfaces of the contract are those of `contract/`, as they are the server's inside of it.
import { register } from "node:module";

register(new URL("./resolve.mjs", import.meta.url));

// The engine of the server has none, and in node it cannot be assigned.
Object.defineProperty(globalThis, "crypto", { value: undefined, writable: true, configurable: true });

// The guest library: evaluated once into the base image, before any function's code.
import { AbortController, AbortSignal } from "./abort.ts";
import { Blob, File } from "./blob.ts";
import { console } from "./console.ts";
import { extendCrypto } from "./crypto.ts";
import { dispatch, register } from "./dispatch.ts";
import { addFetchListener } from "./entry.ts";
import { Deno, navigator, process } from "./environment.ts";
import { CustomEvent, Event, EventTarget } from "./events.ts";
import { fetch } from "./fetch.ts";
import { FormData } from "./form-data.ts";
import { random } from "./host.ts";
import { defineGlobal } from "./primordials.ts";
import { Request } from "./request.ts";
import { Response } from "./response.ts";
import { sql } from "./sql.ts";
import { ReadableStream } from "./stream.ts";
import { clearTimer, queueMicrotask, setImmediate, setInterval, setTimeout } from "./timers.ts";
import { extendUrl, URLSearchParams } from "./url.ts";

extendUrl();
extendCrypto();
Object.defineProperty(Math, "random", { value: random, writable: true, configurable: true });

const globals = {
  AbortController,
  AbortSignal,
  Blob,
  CustomEvent,
  Deno,
  Event,
  EventTarget,
  File,
  FormData,
  ReadableStream,
  Request,
  Response,
  URLSearchParams,
  addEventListener: addFetchListener,
  clearImmediate: clearTimer,
  clearInterval: clearTimer,
  clearTimeout: clearTimer,
  console,
  fetch,
  navigator,
  process,
  queueMicrotask,
  self: globalThis,
  global: globalThis,
  setImmediate,
  setInterval,
  setTimeout,
};
for (const [name, value] of Object.entries(globals)) {
  // a minifier may have renamed it
  if (typeof value === "function") {
    Object.defineProperty(value, "name", { value: name, configurable: true });
  }
  defineGlobal(name, value);
}

defineGlobal(Symbol.for("thimble.modules"), { "thimble:db": { sql, default: sql } });
defineGlobal(Symbol.for("thimble.dispatch"), dispatch);
defineGlobal(Symbol.for("thimble.register"), (namespace: Record<string, unknown>) => {
  delete (globalThis as unknown as Record<symbol, unknown>)[Symbol.for("thimble.register")];
  register(namespace);
});

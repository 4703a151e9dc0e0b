// The guest library: evaluated once into the base image, before any function's code.

import { Op } from "../protocol.ts";
import { AbortController, AbortSignal } from "./abort.ts";
import { Blob, File } from "./blob.ts";
import { CompressionStream, DecompressionStream } from "./compression.ts";
import { console } from "./console.ts";
import { Crypto, CryptoKey, crypto, SubtleCrypto } from "./crypto.ts";
import { dispatch, register } from "./dispatch.ts";
import { Deno, navigator, process } from "./environment.ts";
import { CustomEvent, Event, EventTarget } from "./events.ts";
import { fetch } from "./fetch.ts";
import { FormData } from "./form-data.ts";
import { addEventListener, dispatchEvent, removeEventListener } from "./global-events.ts";
import { Headers } from "./headers.ts";
import { cancel, host, loadPart, random, start } from "./host.ts";
import { localizeLazily } from "./localized.ts";
import { ErrorEvent, MessageChannel, MessageEvent, MessagePort, reportError } from "./messages.ts";
import { nodeSupport } from "./node-support.ts";
import { Performance, performance } from "./performance.ts";
import { asInterface, defineGlobal, defineLazyGlobals } from "./primordials.ts";
import { QuotaExceededError } from "./quota-exceeded-error.ts";
import { PromiseRejectionEvent, track } from "./rejections.ts";
import { Request } from "./request.ts";
import { Response } from "./response.ts";
import type * as Sql from "./sql.ts";
import { streamLibrary, streamNames } from "./stream.ts";
import { structuredClone } from "./structured-clone.ts";
import { TextDecoder } from "./text-decoder.ts";
import { TextDecoderStream, TextEncoderStream } from "./text-streams.ts";
import { clearTimer, queueMicrotask, setImmediate, setInterval, setTimeout } from "./timers.ts";
import { extendUrl, URLSearchParams } from "./url.ts";

extendUrl();
Object.defineProperty(random, "name", { value: "random", configurable: true });
Object.defineProperty(Math, "random", { value: random, writable: true, configurable: true });

const globals = {
  AbortController,
  AbortSignal,
  Blob,
  Crypto,
  CryptoKey,
  CustomEvent,
  Deno,
  ErrorEvent,
  Event,
  EventTarget,
  File,
  FormData,
  CompressionStream,
  DecompressionStream,
  Headers,
  MessageChannel,
  MessageEvent,
  MessagePort,
  Performance,
  PromiseRejectionEvent,
  QuotaExceededError,
  Request,
  Response,
  TextDecoder,
  TextDecoderStream,
  TextEncoderStream,
  SubtleCrypto,
  URLSearchParams,
  addEventListener,
  clearImmediate: clearTimer,
  clearInterval: clearTimer,
  clearTimeout: clearTimer,
  console,
  crypto,
  dispatchEvent,
  fetch,
  navigator,
  performance,
  process,
  queueMicrotask,
  removeEventListener,
  reportError,
  self: globalThis,
  global: globalThis,
  setImmediate,
  setInterval,
  setTimeout,
  structuredClone,
};
for (const [name, value] of Object.entries(globals)) {
  // a minifier may have renamed it
  if (typeof value === "function") {
    Object.defineProperty(value, "name", { value: name, configurable: true });
    if (name[0]! < "a") asInterface(value.prototype as object, name);
  }
  defineGlobal(name, value);
}

defineLazyGlobals(streamNames, () => streamLibrary() as never);
defineLazyGlobals(["URLPattern"], () => loadPart("urlPattern"));
defineLazyGlobals(["Intl"], () => loadPart("intl"));
localizeLazily(() => Reflect.get(globalThis, "Intl"));

let databaseModules: ReturnType<typeof Sql.makeModules> | undefined;
function databaseModule(name: "thimble:db" | "postgres") {
  const release = (lease: number) => void host(Op.release, `${lease}`);
  databaseModules ??= loadPart<typeof Sql>("sql").makeModules({ start, cancel, release });
  return databaseModules[name];
}
defineGlobal(Symbol.for("thimble.modules"), {
  get "thimble:db"() {
    return databaseModule("thimble:db");
  },
  get postgres() {
    return databaseModule("postgres");
  },
  "thimble:node": nodeSupport,
});
defineGlobal(Symbol.for("thimble.dispatcher"), dispatch);
defineGlobal(Symbol.for("thimble.tracker"), track);
defineGlobal(Symbol.for("thimble.register"), (namespace: Record<string, unknown>) => {
  delete (globalThis as unknown as Record<symbol, unknown>)[Symbol.for("thimble.register")];
  register(namespace);
});

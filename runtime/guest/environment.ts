import { console } from "./console.ts";
import { captureServe } from "./entry.ts";
import { queueMicrotask } from "./timers.ts";
import { env } from "./variables.ts";

type AnyFunction = (...args: unknown[]) => unknown;

function ignored(): object {
  return process;
}

export const process = {
  env,
  argv: [],
  platform: "wasi",
  arch: "wasm32",
  version: "v0.0.0",
  versions: {},
  release: { name: "thimble" },
  cwd: () => "/",
  nextTick: (callback: AnyFunction, ...args: unknown[]) => queueMicrotask(() => callback(...args)),
  emitWarning: (warning: unknown) => console.warn(warning),
  on: ignored,
  once: ignored,
  off: ignored,
};

export const Deno = {
  env: {
    get: (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] : undefined),
    has: (name: string): boolean => Object.hasOwn(env, name),
    toObject: (): Record<string, string> => ({ ...env }),
  },
  serve: captureServe,
};

export const navigator = { userAgent: "Thimble" };

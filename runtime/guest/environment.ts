import { console } from "./console.ts";
import { captureServe } from "./entry.ts";
import { readOwnFile } from "./own-files.ts";
import { decodeText } from "./primordials.ts";
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

class NotFound extends Error {
  override readonly name = "NotFound";
  readonly code = "ENOENT";
}

export const Deno = {
  env: {
    get: (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] : undefined),
    has: (name: string): boolean => Object.hasOwn(env, name),
    toObject: (): Record<string, string> => ({ ...env }),
  },
  serve: captureServe,
  args: [],
  build: { target: "wasm32-wasi", arch: "wasm32", os: "linux", vendor: "unknown" },
  version: { deno: "2.0.0", v8: "0.0.0", typescript: "5.6.0" },
  errors: { NotFound },
  cwd: () => "/app",
  exit: (code = 0): never => {
    throw new Error(`Deno.exit(${code}) was called: a function ends when it has answered`);
  },
  readFile: async (path: string | URL) => fileOf(path),
  readFileSync: fileOf,
  readTextFile: async (path: string | URL) => decodeText(fileOf(path)),
  readTextFileSync: (path: string | URL) => decodeText(fileOf(path)),
};

function fileOf(path: string | URL): Uint8Array<ArrayBuffer> {
  const bytes = readOwnFile(path);
  if (!bytes) throw new NotFound(`No such file or directory (os error 2): readfile '${path}'`);
  return bytes;
}

export const navigator = { userAgent: "Thimble" };

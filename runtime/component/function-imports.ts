import type { HeaderList, LogLine, QueryParam } from "../protocol.ts";
import { HostError } from "../services.ts";
import { send } from "./http.ts";
import type { World } from "./world.ts";

/** A value of `thimble:function/database`. */
type Value =
  | { tag: "null" }
  | { tag: "boolean"; val: boolean }
  | { tag: "integer"; val: bigint }
  | { tag: "float"; val: number }
  | { tag: "text" | "json"; val: string }
  | { tag: "bytes"; val: Uint8Array };

/** Headers and body of `thimble:function/types`. */
export interface ComponentRequest {
  method: string;
  url: string;
  headers: HeaderList;
  body: Uint8Array;
}

/** `thimble:function`: log, configuration, database, outgoing HTTP. */
export function functionImports(world: World) {
  const { env, log } = world.options;
  return {
    "thimble:function/types": {},
    "thimble:function/log": {
      write: (level: LogLine["level"], message: string) =>
        log.add({ level, message: message.slice(0, 64 * 1024) }),
    },
    "thimble:function/config": {
      get: (name: string) => (Object.hasOwn(env, name) ? env[name] : undefined),
      all: () => Object.entries(env),
    },
    "thimble:function/database": {
      query: async (text: string, params: Value[]) => {
        const request = { text, params: params.map(paramOf) };
        const { columns, rows, count } = await operation(world, (signal) =>
          world.database().query(request, signal),
        );
        return {
          columns: columns.map(({ name }) => name),
          rows: rows.map((row) => row.map(decodeValue)),
          count: BigInt(count),
        };
      },
    },
    "thimble:function/outgoing-http": {
      send: async ({ method, url, headers, body }: ComponentRequest) => {
        const head = { method, url, headers, redirect: "manual" as const, hasBody: body.length > 0 };
        return operation(world, (signal) => send(world, head, body, signal));
      },
    },
  };
}

/** @throws a `host-error` for what the host refuses. */
async function operation<T>(world: World, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await world.wait(world.start(work));
  } catch (cause) {
    if (cause instanceof HostError) throw { payload: { code: cause.code, message: cause.message } };
    throw cause;
  }
}

function paramOf(value: Value): QueryParam {
  switch (value.tag) {
    case "null":
      return null;
    case "integer":
      return { $bigint: value.val.toString() };
    case "bytes":
      return { $bytes: Buffer.from(value.val).toString("base64") };
    case "float":
      return Number.isFinite(value.val) ? value.val : String(value.val);
    default:
      return value.val;
  }
}

function decodeValue(value: unknown): Value {
  switch (typeof value) {
    case "boolean":
      return { tag: "boolean", val: value };
    case "number":
      return Number.isSafeInteger(value)
        ? { tag: "integer", val: BigInt(value) }
        : { tag: "float", val: value };
    case "string":
      return { tag: "text", val: value };
  }
  if (value === null || value === undefined) return { tag: "null" };
  const { $bytes, $date, $bigint, $json } = value as Record<string, string | undefined>;
  if ($bytes !== undefined) return { tag: "bytes", val: Buffer.from($bytes, "base64") };
  if ($date !== undefined) return { tag: "text", val: $date };
  if ($bigint !== undefined) return { tag: "integer", val: BigInt($bigint) };
  return { tag: "json", val: JSON.stringify($json === undefined ? value : $json) };
}

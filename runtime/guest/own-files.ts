import { encodeText } from "./primordials.ts";

/** Where the function's folder lies in a sandbox. */
const mount = "/app";

type Modules = Record<symbol, { "thimble:files"?: Record<string, string> }>;

/** The bytes of one of the function's files that are no code, by its path or `file:` URL; undefined when there is none. */
export function readOwnFile(path: string | URL): Uint8Array<ArrayBuffer> | undefined {
  const text = `${path}`;
  const url = text.startsWith("file:") ? new URL(text) : new URL(encodeURI(text), `file://${mount}/`);
  const name = decodeURIComponent(url.pathname);
  const files = (globalThis as unknown as Modules)[Symbol.for("thimble.modules")]?.["thimble:files"];
  const written = name.startsWith(`${mount}/`) ? files?.[name.slice(mount.length + 1)] : undefined;
  if (written === undefined) return undefined;
  return written[0] === "t" ? encodeText(written.slice(1)) : Uint8Array.fromBase64(written.slice(1));
}

import { PlatformError } from "../errors.ts";

/** What an edge URL asks for. */
export interface Target {
  name: string;
  /** The URL as the function sees it: the rest of the path on the client's own host. */
  url: string;
}

const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,252})?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/** Paths that mean what they say: no dot segments, nothing that a URL would encode. */
const PLAIN_PATH = /^\/[\w\-~!$&'()*+,;=:@/?]*(?:(?:\.(?![./?]|$|%2e)|%(?!2e))[\w\-~!$&'()*+,;=:@/?]*)*$/i;

/**
 * A Host header and a request target (`/f/<name>/<rest>?<query>`, or that with scheme and host before it, which then counts) → the name
 * and `http://host/<rest>?<query>`, the path normalised as the web platform does. Throws `invalid_input`, and `not_found` when it names
 * no function.
 */
export function edgeTarget(hostHeader: string, target: string): Target {
  const plain = PLAIN_PATH.test(target);
  const { host, path } = plain ? { host: hostHeader, path: target } : normalised(hostHeader, target);
  if (!HOST.test(host)) throw malformed();
  const nameStart = "/f/".length;
  if (!path.startsWith("/f/")) throw new PlatformError("not_found", "Functions are under /f/<name>");
  let nameEnd = nameStart;
  while (nameEnd < path.length && !"/?".includes(path[nameEnd] as string)) nameEnd++;
  const rest = path.slice(nameEnd);
  return {
    name: path.slice(nameStart, nameEnd),
    url: `http://${host}${rest.startsWith("/") ? rest : `/${rest}`}`,
  };
}

function normalised(hostHeader: string, target: string): { host: string; path: string } {
  if (target.startsWith("/") && !HOST.test(hostHeader)) throw malformed();
  try {
    const { protocol, host, pathname, search } = new URL(
      target.startsWith("/") ? `http://${hostHeader}${target}` : target,
    );
    if (protocol === "http:" || protocol === "https:") return { host, path: pathname + search };
  } catch {
    // no URL
  }
  throw malformed();
}

const malformed = () => new PlatformError("invalid_input", "The request target or Host header is malformed");

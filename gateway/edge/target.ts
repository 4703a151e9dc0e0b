import { PlatformError } from "../errors.ts";

/** What an edge URL asks for. */
export interface Target {
  name: string;
  /** The URL as the function sees it: the rest of the path on the client's own host. */
  url: string;
}

const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,252})?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/**
 * `http://host/f/<name>/<rest>?<query>` → the name and `http://host/<rest>?<query>`; the path stays encoded as it came.
 * Throws `invalid_input` for a malformed host.
 */
export function edgeTarget(requestUrl: string): Target {
  const afterScheme = requestUrl.indexOf("://") + 3;
  const pathStart = requestUrl.indexOf("/", afterScheme);
  const host = requestUrl.slice(afterScheme, pathStart);
  if (!HOST.test(host)) throw new PlatformError("invalid_input", "The Host header is malformed");
  const nameStart = pathStart + "/f/".length;
  let nameEnd = nameStart;
  while (nameEnd < requestUrl.length && !"/?#".includes(requestUrl[nameEnd] as string)) nameEnd++;
  const rest = requestUrl.slice(nameEnd);
  return {
    name: requestUrl.slice(nameStart, nameEnd),
    url: `http://${host}${rest.startsWith("/") ? rest : `/${rest}`}`,
  };
}

import {
  domainToASCII,
  domainToUnicode,
  format as formatLegacy,
  parse as parseLegacy,
  resolve,
  resolveObject,
  Url,
} from "unenv/node/url";
import { invalidType, nodeError } from "./errors.ts";

/** The parser of before URLs had a standard. */
export const parse = (url: string, parseQuery = false, slashesDenoteHost = false) =>
  (parseLegacy as (...args: unknown[]) => unknown)(url, parseQuery, slashesDenoteHost);
export { domainToASCII, domainToUnicode, resolve, resolveObject, Url };
export const { URL, URLSearchParams, URLPattern } = globalThis as unknown as {
  URL: typeof globalThis.URL;
  URLSearchParams: typeof globalThis.URLSearchParams;
  URLPattern: unknown;
};

interface FormatOptions {
  auth?: boolean;
  fragment?: boolean;
  search?: boolean;
  unicode?: boolean;
}

export function format(url: unknown, options: FormatOptions = {}): string {
  if (!(url instanceof URL)) return (formatLegacy as (...args: unknown[]) => string)(url);
  const copy = new URL(url.href);
  if (options.auth === false) copy.username = copy.password = "";
  if (options.fragment === false) copy.hash = "";
  if (options.search === false) copy.search = "";
  return copy.href;
}

export function fileURLToPath(file: string | URL): string {
  if (typeof file !== "string" && !(file instanceof URL))
    throw invalidType("path", "string or an instance of URL", file);
  const url = new URL(file);
  if (url.protocol !== "file:")
    throw nodeError(TypeError, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file");
  if (url.hostname !== "")
    throw nodeError(
      TypeError,
      "ERR_INVALID_FILE_URL_HOST",
      'File URL host must be "localhost" or empty on linux',
    );
  if (/%2f/i.test(url.pathname))
    throw nodeError(
      TypeError,
      "ERR_INVALID_FILE_URL_PATH",
      "File URL path must not include encoded / characters",
    );
  return decodeURIComponent(url.pathname);
}

export function pathToFileURL(path: string): URL {
  const absolute = path.startsWith("/") ? path : `/app/${path}`;
  return new URL(`file://${encodeURI(absolute).replace(/[?#]/g, encodeURIComponent)}`);
}

export function urlToHttpOptions(url: URL) {
  const { protocol, hostname, hash, search, pathname, href, port, username, password } = url;
  return {
    protocol,
    hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    hash,
    search,
    pathname,
    path: `${pathname}${search}`,
    href,
    ...(port === "" ? {} : { port: Number(port) }),
    ...(username === "" && password === ""
      ? {}
      : { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` }),
  };
}

export default {
  URL,
  URLPattern,
  URLSearchParams,
  Url,
  domainToASCII,
  domainToUnicode,
  fileURLToPath,
  format,
  parse,
  pathToFileURL,
  resolve,
  resolveObject,
  urlToHttpOptions,
};

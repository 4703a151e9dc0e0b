import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { isOwnAddress, isPublicAddress } from "./address-policy.ts";
import { isBlockedPort } from "./blocked-ports.ts";
import { abortError, egressError } from "./errors.ts";
import { LookUps } from "./look-ups.ts";

/** All addresses of a name. */
export type Resolve = (hostname: string) => Promise<string[]>;

/** Where a request may go: made by {@link Targets.vet} only. */
export interface Target {
  url: URL;
  /** Every address that may be connected to, vetted. */
  addresses: string[];
}

export const resolveBySystem: Resolve = async (hostname) =>
  (await lookup(hostname, { all: true, order: "verbatim" })).map(({ address }) => address);

/** Decides which URLs may be requested. */
export class Targets {
  readonly #allowed: Set<string>;
  readonly #resolve: Resolve;
  readonly #lookUps = new WeakMap<object, LookUps>();

  /** `allow`: `host:port` as the URL names them, private or not. Throws a TypeError that quotes a bad entry. */
  constructor(allow: string[], resolve: Resolve) {
    this.#allowed = new Set(allow.map(parseAllowed));
    this.#resolve = resolve;
  }

  /**
   * Resolves the name once and checks all its addresses. `tenant`: whose request it is, with its own list (names or `*.suffix`),
   * which can only narrow what is allowed. Rejects with `egress_denied`, `egress_dns`, `egress_timeout`, `egress_aborted`.
   */
  async vet(url: URL, tenant: { hosts?: string[] }, signal: AbortSignal): Promise<Target> {
    const { hosts } = tenant;
    if (url.protocol !== "http:" && url.protocol !== "https:")
      throw egressError("egress_denied", `the scheme ${url.protocol} is not allowed`);
    if (url.username !== "" || url.password !== "")
      throw egressError("egress_denied", `the URL for ${url.host} contains credentials`);
    const hostname = withoutFinalDot(url.hostname);
    if (hosts !== undefined && !hosts.some((pattern) => matchesHost(hostname, pattern)))
      throw egressError("egress_denied", `${url.host} is not in the function's egress list`);
    const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
    const allowed = this.#allowed.has(`${hostname}:${port}`);
    if (!allowed && isBlockedPort(port)) throw egressError("egress_denied", `port ${port} is not allowed`);
    const literal = hostname.replace(/^\[|\]$/g, "");
    const addresses = isIP(literal) ? [literal] : await this.#lookUp(url, hostname, tenant, signal);
    // All, not the one we would take: a name with one public and one private address is an attempt.
    if (!allowed && !addresses.every((address) => isPublicAddress(address) && !isOwnAddress(address)))
      throw egressError("egress_denied", `${url.host} is not a public address`);
    return { url, addresses };
  }

  async #lookUp(url: URL, hostname: string, tenant: object, signal: AbortSignal): Promise<string[]> {
    const lookUps = this.#lookUps.get(tenant) ?? new LookUps(this.#resolve);
    this.#lookUps.set(tenant, lookUps);
    try {
      const addresses = await lookUps.resolve(hostname, signal);
      if (addresses.length === 0 || !addresses.every((address) => isIP(address)))
        throw new Error("the resolver gave no addresses");
      return addresses;
    } catch (error) {
      if (signal.aborted) throw abortError(signal, url.host);
      throw egressError("egress_dns", `the name ${hostname} could not be resolved`, error);
    }
  }
}

/** `*.example.com` is every name below example.com and not example.com itself. */
function matchesHost(hostname: string, pattern: string): boolean {
  if (pattern.startsWith("*.")) return hostname.endsWith(`.${canonicalHost(pattern.slice(2))}`);
  return hostname === canonicalHost(pattern);
}

function parseAllowed(entry: string): string {
  const match = /^(.+):(\d{1,5})$/.exec(entry);
  const host = match ? canonicalHost(match[1]!) : "";
  if (!match || host === "")
    throw new TypeError(`not a host:port that egress may allow: ${JSON.stringify(entry)}`);
  return `${host}:${Number(match[2])}`;
}

/** As a URL would have it, or "" for what cannot be in one. */
function canonicalHost(host: string): string {
  const url = URL.parse(`http://${host}/`);
  return url && url.port === "" && url.pathname === "/" && url.username === ""
    ? withoutFinalDot(url.hostname)
    : "";
}

const withoutFinalDot = (hostname: string) => hostname.replace(/\.$/, "");

import { timingSafeEqual } from "node:crypto";
import { PlatformError } from "../errors.ts";
import type { ClientHeaders } from "../headers.ts";
import type { LiveFunction } from "../live-function.ts";
import type { InvocationKey, StoredFunction, VersionRef } from "../store/read-functions.ts";
import { draw } from "../traffic.ts";

/** A version that answers a request, and the cookie that goes with the answer. */
export interface Routed {
  live: LiveFunction;
  setCookie?: string;
}

/** Shortest beginning of an artefact's hash that names a preview: 48 bits, not to be guessed. */
export const PREVIEW_HASH_DIGITS = 12;

/** One function's versions, and which of them a request gets. Replaced as a whole, never changed. */
export class Route {
  readonly stored: StoredFunction;
  readonly #make: (ref: VersionRef) => LiveFunction;
  readonly #versions = new Map<number, LiveFunction>();

  constructor(stored: StoredFunction, make: (ref: VersionRef) => LiveFunction) {
    this.stored = stored;
    this.#make = make;
  }

  /** The version with the largest share. */
  get main(): LiveFunction {
    return this.#version(this.stored.liveVersion);
  }

  /** Draws by the shares of the traffic. */
  draw(headers: ClientHeaders): Routed {
    const { version, ...more } = draw(this.stored.name, this.stored.traffic, headers);
    return { live: this.#version(version), ...more };
  }

  /** One version, whatever its traffic; by its number, or as previews are, by the beginning of its hash. */
  find(wanted: number | string): LiveFunction | undefined {
    const ref = this.stored.versions.find(({ version, artifactHash }) =>
      typeof wanted === "number"
        ? version === wanted
        : wanted.length >= PREVIEW_HASH_DIGITS && artifactHash.startsWith(wanted),
    );
    return ref && this.#version(ref.version);
  }

  /** A version that has answered already; nothing is made for this. */
  loaded(version: number): LiveFunction | undefined {
    return this.#versions.get(version);
  }

  /** Throws `unauthorized` when the function asks for a key and this is none of its keys. */
  checkKey(presentedHash: () => string | undefined): void {
    const { keys, name } = this.stored;
    if (keys === null) return;
    const presented = presentedHash();
    const known =
      presented !== undefined && keys.some((key) => sameHash(key.hash, presented) && inForce(key));
    if (!known)
      throw new PlatformError("unauthorized", `${name} asks for a key in the header x-function-key`);
  }

  #version(version: number): LiveFunction {
    let live = this.#versions.get(version);
    if (!live) {
      const ref = this.stored.versions.find((one) => one.version === version);
      if (!ref) throw new Error(`version ${version} of ${this.stored.name} is not among its versions`);
      live = this.#make(ref);
      this.#versions.set(version, live);
    }
    return live;
  }
}

const sameHash = (a: string, b: string) => timingSafeEqual(Buffer.from(a, "hex"), Buffer.from(b, "hex"));

const inForce = ({ expiresAtMs }: InvocationKey) => expiresAtMs === null || expiresAtMs > Date.now();

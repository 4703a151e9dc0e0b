import { createHash } from "node:crypto";
import { PlatformError } from "../errors.ts";
import type { ClientHeaders } from "../headers.ts";
import type { Registry } from "./registry.ts";
import type { Routed } from "./route.ts";

/** Carries the key of a protected function; it is not handed on to the function. */
export const FUNCTION_KEY_HEADER = "x-function-key";

/**
 * The version that answers: of `name` one by its traffic, of `name@<beginning of a version's hash>` that version, with traffic or
 * without. Throws `function_not_found`, `unauthorized`.
 */
export function chooseVersion(registry: Registry, target: string, headers: ClientHeaders): Routed {
  const at = target.indexOf("@");
  const route = registry.route(at < 0 ? target : target.slice(0, at));
  route.checkKey(() => {
    const key = headers.get(FUNCTION_KEY_HEADER);
    return key === null ? undefined : createHash("sha256").update(key).digest("hex");
  });
  if (at < 0) return route.draw(headers);
  const live = route.find(target.slice(at + 1));
  if (live) return { live };
  throw new PlatformError("version_not_found", `There is no preview ${JSON.stringify(target)}`);
}

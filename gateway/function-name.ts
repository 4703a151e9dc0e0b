import { PlatformError } from "./errors.ts";

/** Lower-case letters, digits, `-` and `_`; starts with a letter or digit; at most 63 characters. */
export const FUNCTION_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** Throws `invalid_input` for what cannot be a function's name. */
export function checkFunctionName(name: string): string {
  if (!FUNCTION_NAME.test(name)) {
    throw new PlatformError(
      "invalid_input",
      `name: ${JSON.stringify(name.slice(0, 80))} is not a function name (lower-case letters, digits, - and _; at most 63)`,
    );
  }
  return name;
}

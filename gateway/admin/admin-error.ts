import { codeOf, PlatformError, toPlatformError } from "../errors.ts";

/** SQLSTATE classes of a database that is away, full or going down, and what drivers and sockets call it. */
const AWAY =
  /^(?:(?:08|53|58)[0-9A-Z]{3}|57P0[1-3]|CONNECTION_\w+|CONNECT_TIMEOUT|E(?:CONNREFUSED|CONNRESET|NOTFOUND|PIPE|TIMEDOUT|AI_AGAIN))$/;

/**
 * What went wrong with an admin request, for who may know a little more: that the platform's database is away, or its disk full, and not just that
 * something is.
 */
export function adminError(thrown: unknown): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  for (let error: unknown = thrown, depth = 0; error && depth < 5; error = (error as Error).cause, depth++) {
    const code = codeOf(error);
    if (code === undefined || !AWAY.test(code)) continue;
    const reason = code === "53100" ? "its disk is full" : `it cannot be asked (${code})`;
    return new PlatformError("storage_unavailable", `The platform's database cannot be used: ${reason}`, {
      cause: thrown,
      retryAfterSeconds: 5,
    });
  }
  return toPlatformError(thrown);
}

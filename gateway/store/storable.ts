/**
 * A JSON value that Postgres takes as `jsonb`: NUL and halves of surrogate pairs, which it refuses, become U+FFFD. Sources and
 * modules are made by others, and what is said about them quotes them.
 */
export function storable<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_, part: unknown) =>
      typeof part === "string" ? part.replaceAll("\0", "\ufffd").toWellFormed() : part,
    ),
  );
}

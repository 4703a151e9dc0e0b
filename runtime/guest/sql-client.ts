import { PostgresError } from "./sql-errors.ts";
import type { CustomType, SqlOptions } from "./sql-options.ts";
import { CLOSE, type Connection, Lease, Query, type SqlHost, unsupported } from "./sql-query.ts";
import { Helper } from "./sql-text.ts";
import { Typed } from "./sql-values.ts";

type Work = (sql: unknown) => unknown;

/** What every `sql` has: the pool's, a transaction's, a reserved connection's. */
function makeTag(connection: Connection, types: Record<string, CustomType>) {
  const typed = (value: unknown, type: number) => new Typed(value, type);
  const byName = Object.entries(types).map(([name, { to }]) => [
    name,
    (value: unknown) => new Typed(value, to),
  ]);
  const named = Object.assign(typed, Object.fromEntries(byName));
  const tag = (first: unknown, ...rest: unknown[]): Query | Helper =>
    Array.isArray(first) && "raw" in first
      ? new Query(connection, first as readonly string[], rest)
      : new Helper(first, rest);
  return Object.assign(tag, {
    unsafe: (text: string, params: unknown = []) =>
      new Query(connection, [text], [], Array.isArray(params) ? params : []),
    json: (value: unknown) => new Typed(value),
    array: (value: unknown, ...more: unknown[]) => (Array.isArray(value) ? value : [value, ...more]),
    typed: named,
    types: named,
    options: connection.options,
    file: () =>
      refuse("sql.file", "a sandbox has no files; import the .sql file and pass its text to sql.unsafe"),
    notify: () => refuse("sql.notify", "channels are shared by all functions"),
  });
}

const refuse = (what: string, why: string): never => {
  throw unsupported(what, why);
};

/** The pool's `sql`. Its queries may each have another connection. */
export function makeSql(host: SqlHost, options: SqlOptions, types: Record<string, CustomType> = {}) {
  const pooled: Connection = { host, options, lease: () => undefined };
  const on = (lease: Lease): Connection => ({ host, options, lease: () => lease.number() });
  const ended = () => Promise.resolve();

  const begin = async (characteristics: string | Work, work?: Work): Promise<unknown> => {
    if (typeof characteristics === "function") return begin("", characteristics);
    if (typeof work !== "function") throw new TypeError("sql.begin takes a function");
    const lease = new Lease(host);
    const connection = on(lease);
    const run = (text: string) => new Query(connection, [text], []);
    try {
      await run(`begin ${characteristics.replace(/[^a-z, ]/gi, "")}`);
      const result = await scope(connection, types, work, () => run("rollback"));
      await run("commit");
      return result;
    } finally {
      lease.end();
    }
  };
  const reserve = async () => {
    const lease = new Lease(host);
    return Object.assign(makeTag(on(lease), types), { release: () => lease.end() });
  };
  return Object.assign(makeTag(pooled, types), {
    parameters: {},
    PostgresError,
    CLOSE,
    END: CLOSE,
    /** A connection of one's own until its `release()`; at the latest it ends with the invocation. */
    reserve,
    /** Commits when the work succeeds, rolls back when it, or one of its queries, fails. */
    begin,
    /** The pool is the host's: there is nothing to end. */
    end: ended,
    close: ended,
    listen: () => refuse("sql.listen", "a pooled connection hears of nothing between two queries"),
    subscribe: () => refuse("sql.subscribe", "it needs a replication connection"),
    largeObject: () => refuse("sql.largeObject", "large objects belong to no function; use a bytea column"),
  });
}

/** Runs work with a `sql` of its own; when it or one of its queries fails, undoes it and throws. */
async function scope(
  connection: Connection,
  types: Record<string, CustomType>,
  work: Work,
  undo: () => PromiseLike<unknown>,
): Promise<unknown> {
  let failed: { error: unknown } | undefined;
  const watched: Connection = {
    ...connection,
    onError(error) {
      failed ??= { error };
    },
  };
  const savepoint = async (name: string | Work, nested?: Work): Promise<unknown> => {
    if (typeof name === "function") return savepoint("", name);
    if (typeof nested !== "function") throw new TypeError("savepoint takes a function");
    const point = new Helper(`s${savepoints++}${name && `_${name}`}`, []);
    await new Query(connection, ["savepoint ", ""], [point]);
    return scope(connection, types, nested, () => new Query(connection, ["rollback to ", ""], [point]));
  };
  const sql = Object.assign(makeTag(watched, types), {
    savepoint,
    prepare: () => refuse("sql.prepare", "a prepared transaction would outlive its invocation"),
  });
  try {
    const result = work(sql);
    const settled = await (Array.isArray(result) ? Promise.all(result) : result);
    if (failed) throw failed.error;
    return settled;
  } catch (error) {
    await undo().then(undefined, () => {});
    const aborted = error instanceof PostgresError && error.code === "25P02";
    throw aborted && failed ? failed.error : error;
  }
}

let savepoints = 0;

import { makeSql } from "./sql-client.ts";
import { makeOptions } from "./sql-options.ts";
import { makePostgres } from "./sql-postgres.ts";
import type { SqlHost } from "./sql-query.ts";

/** The modules through which a function queries; a part of its own, loaded by what imports one of them. */
export function makeModules(host: SqlHost) {
  return { "thimble:db": { sql: makeSql(host, makeOptions()) }, postgres: makePostgres(host) };
}

import { makeSql } from "./sql-client.ts";
import { PostgresError } from "./sql-errors.ts";
import { type ColumnInfo, type CustomType, type GivenOptions, makeOptions } from "./sql-options.ts";
import { CLOSE, type SqlHost } from "./sql-query.ts";

/** What `import postgres from "postgres"` gives in a sandbox: its interface over the pool. https://github.com/porsager/postgres */

type Rename = (name: string) => string;

const toCamel: Rename = (name) => name.replace(/_+(.)/g, (_, letter: string) => letter.toUpperCase());
const toPascal: Rename = (name) => toCamel(`_${name}`);
const toKebab: Rename = (name) => name.replaceAll("_", "-");
const fromCamel: Rename = (name) => name.replace(/([A-Z])/g, "_$1").toLowerCase();
const fromPascal: Rename = (name) => fromCamel(name).replace(/^_/, "");
const fromKebab: Rename = (name) => name.replaceAll("-", "_");

/** Renames the keys of JSON values, too. */
function inJson(rename: Rename) {
  const within = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(within);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [rename(key), within(inner)]));
  };
  return (value: unknown, { type }: ColumnInfo) => (type === 114 || type === 3802 ? within(value) : value);
}

function naming(to: Rename, from: Rename) {
  const value = { from: inJson(to) };
  return {
    to: Object.assign((name: string) => to(name), { column: { from: to }, value }),
    from: Object.assign((name: string) => from(name), { column: { to: from } }),
    both: { column: { from: to, to: from }, value },
  };
}
const camel = naming(toCamel, fromCamel);
const pascal = naming(toPascal, fromPascal);
const kebab = naming(toKebab, fromKebab);

const bigintType: CustomType = {
  to: 20,
  from: [20],
  parse: (text) => BigInt(text),
  serialize: (value) => `${value}`,
};

/** Where the package's conversion differs from that of `thimble:db`. */
const packageTypes: Record<string, CustomType> = {
  int8: { from: [20], parse: (text) => text },
  timestamp: { from: [1114], parse: (text) => new Date(`${text.replace(" ", "T")}Z`) },
};

export function makePostgres(host: SqlHost) {
  const postgres = (_url?: unknown, options?: GivenOptions) => {
    const given = options ?? (typeof _url === "object" && _url !== null ? (_url as GivenOptions) : {});
    const types = { ...packageTypes, ...given.types };
    return makeSql(host, makeOptions({ ...given, types }), given.types);
  };
  return Object.assign(postgres, {
    PostgresError,
    BigInt: bigintType,
    CLOSE,
    toCamel: camel.to,
    fromCamel: camel.from,
    camel: camel.both,
    toPascal: pascal.to,
    fromPascal: pascal.from,
    pascal: pascal.both,
    toKebab: kebab.to,
    fromKebab: kebab.from,
    kebab: kebab.both,
  });
}

/** Turns text of the database into a value, and a value into a parameter. */
export type Parser = (text: string) => unknown;
export type Serializer = (value: unknown) => unknown;

export interface ColumnInfo {
  name: string;
  type: number;
}

interface Direction {
  from?: ((value: never, column: ColumnInfo) => unknown) | undefined;
  to?: ((value: string) => string) | undefined;
}

export interface Transform {
  /** What takes the place of undefined; undefined refuses it. */
  undefined: unknown;
  column: { from?: ((name: string) => string) | undefined; to?: ((name: string) => string) | undefined };
  value: { from?: ((value: unknown, column: ColumnInfo) => unknown) | undefined };
  row: { from?: ((row: unknown) => unknown) | undefined };
}

/** Of a `sql`; what is in `parsers` and `serializers` takes the place of our own conversion, by type oid. */
export interface SqlOptions {
  parsers: Record<string, Parser>;
  serializers: Record<string, Serializer>;
  transform: Transform;
}

export interface CustomType {
  to?: number;
  from?: number | number[];
  parse?: Parser;
  serialize?: Serializer;
}

/** As they may be given to `postgres(…)`. */
export interface GivenOptions {
  types?: Record<string, CustomType>;
  transform?: {
    undefined?: unknown;
    column?: Transform["column"]["from"] | Direction;
    value?: Transform["value"]["from"] | Direction;
    row?: Transform["row"]["from"] | Direction;
  };
}

export function makeOptions({ types = {}, transform = {} }: GivenOptions = {}): SqlOptions {
  const options: SqlOptions = {
    parsers: {},
    serializers: {},
    transform: {
      undefined: transform.undefined,
      column: direction(transform.column),
      value: direction(transform.value),
      row: direction(transform.row),
    },
  };
  for (const { to, from = [], parse, serialize } of Object.values(types)) {
    const oids = [from].flat();
    if (parse) for (const oid of oids) options.parsers[oid] = parse;
    if (serialize)
      for (const oid of [...oids, ...(to === undefined ? [] : [to])]) options.serializers[oid] = serialize;
  }
  return options;
}

const direction = (given: unknown): never =>
  (typeof given === "function" ? { from: given } : { ...(given as object) }) as never;

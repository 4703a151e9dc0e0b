import type { QueryParam } from "../protocol.ts";
import type { SqlOptions } from "./sql-options.ts";
import { encodeParam } from "./sql-values.ts";

const { isArray } = Array;

export const quoteName = (name: string) => `"${name.replaceAll('"', '""').replaceAll(".", '"."')}"`;

/** What is a parameter as it is. */
function isScalar(value: unknown): value is string | number | boolean | null {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value);
    default:
      return value === null;
  }
}

/** Something that is not a parameter but a part of a statement's text. */
export abstract class Part {
  abstract writeTo(draft: Draft): void;
}

/** A statement being put together: placeholders are numbered across nested fragments. */
export class Draft {
  text = "";
  readonly params: QueryParam[] = [];
  readonly options: SqlOptions;

  constructor(options: SqlOptions) {
    this.options = options;
  }

  template(strings: readonly string[], values: readonly unknown[]): void {
    const { params } = this;
    let text = this.text + strings[0];
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (isScalar(value)) text += `$${params.push(value)}`;
      else {
        this.text = text;
        this.value(value);
        text = this.text;
      }
      text += strings[i + 1];
    }
    this.text = text;
  }

  /** A parameter, or a part of the text. */
  value(value: unknown): void {
    if (value instanceof Part) value.writeTo(this);
    else if (isArray(value) && value[0] instanceof Part) this.#list(value, " ");
    else this.param(value);
  }

  param(value: unknown): void {
    this.params.push(encodeParam(value, this.options));
    this.text += `$${this.params.length}`;
  }

  name(name: string): void {
    const { to } = this.options.transform.column;
    this.text += quoteName(to ? to(name) : name);
  }

  names(names: readonly string[]): void {
    this.#each(names, ", ", (name) => this.name(name));
  }

  /** `(a, b), (c, d)` */
  tuples(rows: readonly unknown[][]): void {
    this.#each(rows, ", ", (row) => {
      this.text += "(";
      this.#list(row, ", ");
      this.text += ")";
    });
  }

  /** `"a" = x, "b" = y` */
  assignments(columns: readonly string[], row: Row): void {
    this.#each(columns, ", ", (column) => {
      this.name(column);
      this.text += " = ";
      this.value(row[column]);
    });
  }

  /** `x as "a", y as "b"` */
  aliases(columns: readonly string[], row: Row): void {
    this.#each(columns, ", ", (column) => {
      this.value(row[column]);
      this.text += " as ";
      this.name(column);
    });
  }

  #list(values: readonly unknown[], separator: string): void {
    this.#each(values, separator, (value) => this.value(value));
  }

  #each<T>(items: readonly T[], separator: string, write: (item: T) => void): void {
    items.forEach((item, i) => {
      if (i > 0) this.text += separator;
      write(item);
    });
  }
}

type Row = Record<string, unknown>;

/** What `sql(…)` makes. What it becomes depends on the keyword before it, as in postgres.js. */
export class Helper extends Part {
  readonly #first: unknown;
  readonly #rest: string[];

  constructor(first: unknown, rest: unknown[]) {
    super();
    this.#first = first;
    this.#rest = rest.flat() as string[];
  }

  writeTo(draft: Draft): void {
    const first = this.#first;
    if (typeof first === "string") draft.names([first, ...this.#rest]);
    else if (typeof first !== "object" || first === null)
      throw new TypeError(`sql(…) takes a name, a list or a row, not ${first}`);
    else this.#writeAfter(lastKeyword(draft.text), first, draft);
  }

  #writeAfter(keyword: string | undefined, first: object, draft: Draft): void {
    switch (keyword) {
      case "insert": {
        const rows = (isArray(first) ? first : [first]) as Row[];
        const columns = this.#columns(rows[0] ?? {});
        draft.text += "(";
        draft.names(columns);
        draft.text += ") values ";
        draft.tuples(rows.map((row) => columns.map((column) => row[column])));
        break;
      }
      case "update":
      case "set":
        draft.assignments(this.#columns(first), first as Row);
        break;
      case "values":
      case "in":
        this.#writeValues(draft, first);
        break;
      default:
        if (isArray(first)) draft.names(first as string[]);
        else draft.aliases(this.#columns(first), first as Row);
    }
  }

  #columns(row: object): string[] {
    return this.#rest.length > 0 ? this.#rest : Object.keys(row);
  }

  /** A list is one tuple, a list of lists or rows several. */
  #writeValues(draft: Draft, first: object): void {
    if (!isArray(first)) draft.tuples([this.#columns(first).map((column) => (first as Row)[column])]);
    else if (first.length === 0) draft.text += "(null)";
    else if (isArray(first[0])) draft.tuples(first);
    else if (isRow(first[0])) {
      const columns = this.#columns(first[0]);
      draft.tuples(first.map((row: Row) => columns.map((column) => row[column])));
    } else draft.tuples([first]);
  }
}

const isRow = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

const keywords = /(?:^|[\s(])(values|in|select|as|returning|insert|update|set)(?=$|[\s(])/gi;

function lastKeyword(text: string): string | undefined {
  let last: string | undefined;
  for (const match of text.matchAll(keywords)) last = match[1]!.toLowerCase();
  return last;
}

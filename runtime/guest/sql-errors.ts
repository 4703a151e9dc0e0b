import type { QueryRequest } from "../protocol.ts";

/** An error of the server, or of the pool in front of it: `code` is an SQLSTATE, or begins with `db_`. */
export class PostgresError extends Error {
  declare code: string;
  declare severity: string;
  declare position?: string;

  constructor(message: string, fields: object = {}) {
    super(message);
    Object.defineProperty(this, "name", { value: "PostgresError", configurable: true, writable: true });
    Object.assign(this, fields);
  }

  /** The host's error of a query; keeps its name, and gets to know the query. */
  static from(error: Error, { text, params }: QueryRequest): Error {
    if (error.name === "PostgresError") Object.setPrototypeOf(error, PostgresError.prototype);
    for (const [name, value] of Object.entries({ query: text, parameters: params }))
      Object.defineProperty(error, name, { value, enumerable: false, configurable: true, writable: true });
    return error;
  }
}

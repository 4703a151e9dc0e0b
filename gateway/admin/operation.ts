import type { Context } from "hono";
import type { z } from "zod";
import type { ErrorCode } from "../errors.ts";
import type { Scope } from "../scope.ts";
import type { Actor } from "../store/functions.ts";
import type { AdminDeps } from "./app.ts";
import type { Principal } from "./authenticate.ts";

export type AdminEnv = {
  Variables: { requestId: string; by: Actor; principal: Principal; functionName?: string };
};

/** One call of an operation, its input checked. */
export interface Call<Body, Query> {
  c: Context<AdminEnv>;
  deps: AdminDeps;
  body: Body;
  query: Query;
  /** A parameter of the path. */
  param(name: string): string;
}

/** A body as a form. */
export interface Form {
  /** JSON Schema of its fields. */
  schema: object;
  /** Makes the body of it, unchecked. */
  read(form: FormData): Promise<unknown>;
}

/** One route of the admin API: what it takes, what it answers, who may call it. The OpenAPI description is made of these. */
export interface Operation {
  method: "get" | "post" | "put" | "delete";
  /** With parameters as `:name`. */
  path: string;
  /** Null: any key will do. */
  scope: Scope | null;
  /** Where the name of the function is that a key may be restricted to: a restricted key can call nothing else. Default: in the path, if there is a `:name`. */
  restrict?: "handler";
  summary: string;
  body?: z.ZodType;
  query?: z.ZodObject;
  /** For operations that take their body as a form (`multipart/form-data`) as well. */
  form?: Form;
  /** The good answer. */
  answer: { status: 200 | 201; schema?: z.ZodType; contentType?: string };
  /** Codes that it may refuse with, besides those that all have. */
  errors: ErrorCode[];
  /** Not in the audit log though it is no GET: it changes nothing. */
  harmless?: boolean;
  handle(call: Call<unknown, unknown>): Response | Promise<Response>;
}

/** Gives the handler the types of what the schemas let through. */
export function operation<Body extends z.ZodType = z.ZodUndefined, Query extends z.ZodObject = z.ZodObject>(
  definition: Omit<Operation, "body" | "query" | "handle"> & {
    body?: Body;
    query?: Query;
    handle(call: Call<z.infer<Body>, z.infer<Query>>): Response | Promise<Response>;
  },
): Operation {
  return definition as unknown as Operation;
}

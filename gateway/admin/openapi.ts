import { z } from "zod";
import { type ErrorCode, STATUS_OF_CODE } from "../errors.ts";
import { errorDocument } from "./documents.ts";
import type { Operation } from "./operation.ts";

/** Refusals that any operation may answer with. */
const COMMON_ERRORS: ErrorCode[] = [
  "unauthorized",
  "forbidden",
  "too_many_failures",
  "internal_error",
  "storage_unavailable",
];

const bodyErrors: ErrorCode[] = ["invalid_input", "payload_too_large"];

/** The OpenAPI 3.1 description of the admin API. */
export function describeApi(operations: readonly Operation[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const one of operations) {
    const path = one.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [one.method]: describe(one) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Thimble admin API", version: "1" },
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
      schemas: { Error: schemaOf(errorDocument, "output") },
    },
  };
}

function describe(one: Operation): object {
  const errors = new Set([...COMMON_ERRORS, ...one.errors, ...(one.body || one.query ? bodyErrors : [])]);
  const responses: Record<string, object> = {
    [one.answer.status]: {
      description: "Done",
      ...(one.answer.schema && { content: json(schemaOf(one.answer.schema, "output")) }),
    },
  };
  for (const code of errors) {
    const status = STATUS_OF_CODE[code];
    const before = responses[status] as { description: string } | undefined;
    responses[status] = {
      description: before ? `${before.description}, ${code}` : code,
      content: json({ $ref: "#/components/schemas/Error" }),
    };
  }
  return {
    summary: one.summary,
    description: one.scope === null ? "Needs any key." : `Needs a key with the scope \`${one.scope}\`.`,
    parameters: [...pathParameters(one), ...queryParameters(one)],
    ...(one.body && {
      requestBody: {
        required: true,
        content: {
          ...json(schemaOf(one.body, "input")),
          ...(one.form && { "multipart/form-data": { schema: one.form.schema } }),
        },
      },
    }),
    responses,
  };
}

const json = (schema: object) => ({ "application/json": { schema } });

function pathParameters({ path }: Operation): object[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters({ query }: Operation): object[] {
  return Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: "query",
    required: false,
    schema: schemaOf(schema as z.ZodType, "input"),
  }));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): object {
  const { $schema: _, ...described } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return described;
}

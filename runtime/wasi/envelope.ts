import type { Stdio } from "../../compiler/types.ts";
import type { InvocationRequest, Outcome } from "../invocation.ts";
import type { HeaderList } from "../protocol.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** What a module reads from its standard input. `http`: the whole request as JSON; else the body. */
export function requestBytes(stdio: Stdio, request: InvocationRequest, body: Uint8Array): Uint8Array {
  if (stdio === "raw") return body;
  // a JSON function that is called without a body still gets JSON
  if (stdio === "json") return body.length > 0 ? body : encoder.encode("null");
  const { pathname, searchParams } = new URL(request.url);
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of request.headers) {
    const key = name.toLowerCase();
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  const envelope = {
    method: request.method,
    url: request.url,
    path: pathname,
    query: Object.fromEntries(searchParams),
    headers,
    ...encodeBody(body),
  };
  return encoder.encode(JSON.stringify(envelope));
}

function encodeBody(body: Uint8Array): { body: string; bodyEncoding?: "base64" } {
  try {
    return { body: strict.decode(body) };
  } catch {
    return { body: Buffer.from(body).toString("base64"), bodyEncoding: "base64" };
  }
}

/** What a module has written to its standard output, as the outcome of its request. */
export function outcomeOf(stdio: Stdio, output: Uint8Array): Outcome {
  switch (stdio) {
    case "raw":
      return completed(
        200,
        [["content-type", isText(output) ? "text/plain; charset=utf-8" : "application/octet-stream"]],
        output,
      );
    case "json":
      if (output.length === 0) return completed(204, [], output);
      return parse(output) === undefined
        ? invalid("the module's standard output is no JSON")
        : completed(200, [["content-type", "application/json"]], output);
    case "http":
      return fromEnvelope(parse(output));
  }
}

function completed(status: number, headers: HeaderList, body: Uint8Array): Outcome {
  return { kind: "completed", response: { status, headers, body } };
}

const invalid = (message: string): Outcome => ({ kind: "invalidResponse", message });

/** The JSON value, in an object of its own since it may be undefined's kin; undefined for what is none. */
function parse(output: Uint8Array): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(strict.decode(output)) };
  } catch {
    return undefined;
  }
}

function isText(bytes: Uint8Array): boolean {
  try {
    return !strict.decode(bytes).includes("\0");
  } catch {
    return false;
  }
}

function fromEnvelope(parsed: { value: unknown } | undefined): Outcome {
  const value = parsed?.value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalid(
      'the module\'s standard output is no response: it must be JSON such as {"status":200,"headers":{},"body":"…"}',
    );
  }
  const { status = 200, headers = {}, body = "", bodyEncoding } = value as Record<string, unknown>;
  if (typeof status !== "number" || !Number.isInteger(status))
    return invalid("the response's status is no whole number");
  const list = headerList(headers);
  if (!list) return invalid("the response's headers must be an object of texts, or lists of them");
  if (bodyEncoding !== undefined && bodyEncoding !== "base64")
    return invalid('the response\'s bodyEncoding must be "base64"');
  const named = list.some(([name]) => name.toLowerCase() === "content-type");
  const withType = (type: string): HeaderList => (named ? list : [...list, ["content-type", type]]);
  if (typeof body !== "string")
    return completed(status, withType("application/json"), encoder.encode(JSON.stringify(body)));
  if (bodyEncoding === "base64")
    return completed(status, withType("application/octet-stream"), Buffer.from(body, "base64"));
  return completed(status, withType("text/plain; charset=utf-8"), encoder.encode(body));
}

function headerList(headers: unknown): HeaderList | undefined {
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) return undefined;
  const list: HeaderList = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one !== "string") return undefined;
      list.push([name, one]);
    }
  }
  return list;
}

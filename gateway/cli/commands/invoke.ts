import type { InvocationMetrics } from "../../../runtime/invocation.ts";
import type { InvokeResult } from "../../edge/admin-invoke.ts";
import { readBodyArgument, splitPair } from "../body-argument.ts";
import { command, contextOf } from "../command.ts";
import { bytes, printable } from "../table.ts";
import { versionNumber } from "../version-number.ts";

const collect = (value: string, before: string[]) => [...before, value];

/** `invoke`: the answer's body on standard output; status, metrics, log and errors on standard error. */
export const invoke = command("invoke", "call a function")
  .argument("<name>", "name of the function")
  .option("-b, --body <body>", "request body: text, @file, or - for standard input")
  .option("-q, --query <name=value>", "query parameter; may be repeated", collect, [])
  .option("-X, --method <method>", "default: POST with a body, else GET")
  .option("-p, --path <path>", "path that the function sees", "/")
  .option("--at <version>", "one version, whatever the traffic")
  .option("-H, --header <name:value>", "request header; may be repeated", collect, [])
  .action(async (name: string, options) => {
    const context = contextOf(options);
    const request = await requestOf(options);
    const path = `/v1/functions/${encodeURIComponent(name)}/invoke`;
    const result = await context.client.call<InvokeResult>("POST", path, request);
    if (result.error) process.exitCode = 1;
    for (const line of result.logs) context.note(`[${line.level}] ${printable(line.message)}`);
    if (context.json) {
      context.print(result, () => "");
    } else {
      writeBody(result);
      context.note(summary(result.status, result.metrics));
    }
    if (result.error) {
      const { code, message, detail } = result.error;
      process.stderr.write(`${code}: ${message}\n`);
      if (detail) process.stderr.write(`${printable(described(detail))}\n`);
    }
  });

interface InvokeOptions {
  body?: string;
  query: string[];
  method?: string;
  path: string;
  header: string[];
  at?: string;
}

async function requestOf(options: InvokeOptions): Promise<Record<string, unknown>> {
  const query: Record<string, string[]> = {};
  for (const pair of options.query) {
    const [key, value] = splitPair("--query", pair, "=");
    query[key] = [...(query[key] ?? []), value];
  }
  const headers: Record<string, string> = {};
  for (const pair of options.header) {
    const [key, value] = splitPair("--header", pair, ":");
    headers[key.toLowerCase()] = value;
  }
  const request: Record<string, unknown> = {
    path: options.path.startsWith("/") ? options.path : `/${options.path}`,
    query,
    headers,
  };
  if (options.at !== undefined) request.version = versionNumber(options.at);
  if (options.method) request.method = options.method.toUpperCase();
  if (options.body !== undefined) {
    const { body, bodyEncoding, contentType } = await readBodyArgument(options.body);
    headers["content-type"] ??= contentType;
    Object.assign(request, { body, bodyEncoding });
  }
  return request;
}

function writeBody({ body, bodyEncoding }: InvokeResult): void {
  if (bodyEncoding === "base64") process.stdout.write(Buffer.from(body, "base64"));
  else process.stdout.write(body.endsWith("\n") || body === "" ? body : `${body}\n`);
}

function summary(status: number, metrics: InvocationMetrics): string {
  const parts = [
    `status ${status}`,
    `wall ${metrics.wallMs.toFixed(2)} ms`,
    `cpu ${metrics.cpuMs.toFixed(2)} ms`,
    `fuel ${metrics.fuel.toLocaleString("en")}`,
    `memory ${bytes(metrics.memoryBytes)}`,
    `host calls ${metrics.hostCalls}`,
  ];
  return parts.join(" · ");
}

function described({
  name,
  message,
  stack,
}: NonNullable<NonNullable<InvokeResult["error"]>["detail"]>): string {
  const line = name ? `${name}: ${message}` : message;
  return stack ? `${line}\n${stack}` : line;
}

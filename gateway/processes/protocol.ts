import { z } from "zod";
import type { InvokeInput } from "../admin/input.ts";
import type { EdgeConfig } from "../config.ts";
import { type ErrorCode, STATUS_OF_CODE } from "../errors.ts";
import { DURATION_BUCKETS_SECONDS } from "../execution-counts.ts";
import { FUNCTION_NAME } from "../function-name.ts";
import { areLines } from "../store/invocation-lines.ts";
import type { StoredFunction } from "../store/read-functions.ts";

/**
 * All that supervisor and worker say to each other. What a worker sends is checked to the last field, since it is the process that runs
 * hostile code; what the supervisor sends is only typed.
 */

export interface Method<P, R> {
  params: z.ZodType<P>;
  result: z.ZodType<R>;
}

export type Methods = Record<string, Method<unknown, unknown>>;

/** How often a worker gives a sign of life, ms. */
export const HEARTBEAT_INTERVAL_MS = 500;

const method = <P, R>(params: z.ZodType<P>, result: z.ZodType<R>): Method<P, R> => ({ params, result });
const trusted = <T>() => z.custom<T>(() => true);
const nothing = z.void();

const count = z.int().min(0);
const amount = z.number().min(0);
const short = z.string().max(300);
/** It becomes a file's name. */
const functionName = z.string().regex(FUNCTION_NAME);
const text = z.string().max(1_000_000);
const bytes: z.ZodType<Uint8Array> = z.instanceof(Uint8Array);

export interface WorkerStart {
  /** Its number among the workers, from 1. */
  worker: number;
  config: EdgeConfig;
  /** The engine module. */
  engine: Uint8Array;
  /** Where the functions' database is asked: the broker's socket. */
  brokerSocket: string;
  functions: StoredFunction[];
}

const outcomeKind = z.enum([
  "completed",
  "threw",
  "timedOut",
  "outOfMemory",
  "outOfFuel",
  "outOfCpu",
  "stackOverflow",
  "invalidResponse",
  "responseTooLarge",
  "trapped",
  "aborted",
]);

const errorCode = z.enum(Object.keys(STATUS_OF_CODE) as [ErrorCode, ...ErrorCode[]]);

const logLine = z.strictObject({ level: z.enum(["debug", "info", "warn", "error"]), message: text });

const invocationMetrics = z.strictObject({
  wallMs: amount,
  cpuMs: z.number(),
  fuel: amount,
  memoryBytes: count,
  hostCalls: count,
});

const invokeResult = z.strictObject({
  status: z.int().min(200).max(599),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  body: z.string(),
  bodyEncoding: z.enum(["utf8", "base64"]),
  metrics: invocationMetrics,
  logs: z.array(logLine),
  requestId: short,
  error: z
    .strictObject({
      code: errorCode,
      message: text,
      detail: z.strictObject({ name: text.optional(), message: text, stack: text.optional() }).optional(),
    })
    .optional(),
});

const edgeStats = z.strictObject({
  activeExecutions: count,
  queuedExecutions: count,
  active: z.record(z.string(), count),
  sandboxes: z.strictObject({ instances: count, busy: count, idle: count }),
  droppedRecords: count,
});

/** What the supervisor asks of a worker. */
export const workerMethods = {
  start: method(trusted<WorkerStart>(), z.strictObject({ url: short })),
  put: method(
    trusted<{
      stored: StoredFunction;
      built?: { version: number; artifact: Uint8Array } | undefined;
    }>(),
    nothing,
  ),
  remove: method(trusted<{ name: string }>(), nothing),
  check: method(trusted<{ artifact: Uint8Array }>(), nothing),
  invoke: method(trusted<{ name: string; input: InvokeInput; requestId: string }>(), invokeResult),
  stats: method(nothing, edgeStats),
  grant: method(trusted<{ key: string; count: number }>(), nothing),
  owe: method(trusted<{ key: string; count: number; keep: number }>(), nothing),
  /** Takes no more connections and ends when what is under way has ended; `gently`: without a client's noticing. */
  drain: method(trusted<{ gently: boolean }>(), nothing),
};

const version = z.strictObject({ functionId: z.uuid(), version: count });

const invocationRow = z.strictObject({
  id: z.uuid(),
  functionId: z.uuid(),
  functionName,
  version: count,
  requestId: short,
  status: z.enum(["running", "completed", "failed", "timeout", "aborted"]),
  durationMs: amount.nullable(),
  error: text.nullable(),
  errorCode: short.nullable(),
  timestamp: z.date(),
  cpuMs: z.number().nullable(),
  fuel: amount.nullable(),
  memoryBytes: count.nullable(),
  databaseMs: amount.nullable(),
  killReason: z
    .enum([
      ...(["timeout", "memory", "fuel", "cpu", "stack", "response_size", "trap", "client_gone"] as const),
      ...(["server_stopped", "worker_ended"] as const),
    ])
    .nullable(),
  traceId: short.nullable(),
  span: z.strictObject({ spanId: short, parentSpanId: short.nullable(), sampled: z.boolean() }).optional(),
});

const functionCounts = z.strictObject({
  outcomes: z.partialRecord(outcomeKind, count),
  refusals: z.partialRecord(errorCode, count),
  durations: z.array(count).length(DURATION_BUCKETS_SECONDS.length + 1),
  wallMs: amount,
  cpuMs: amount,
});

const report = z.strictObject({
  /** Lines of the platform's log, JSON. */
  log: z.array(text),
  /** Lines of functions' logs. */
  lines: z.array(
    z.strictObject({
      name: functionName,
      line: z.strictObject({ ...logLine.shape, time: short, requestId: short, version: count }),
    }),
  ),
  /** What has been counted since the last report, by function. */
  counts: z.array(z.tuple([functionName, functionCounts])),
});

export type Report = z.infer<typeof report>;

const heartbeat = z.strictObject({
  /** The longest that the event loop was late since the last one, ms. */
  eventLoopDelayMs: amount,
  memoryBytes: count,
  activeExecutions: count,
});

export type Heartbeat = z.infer<typeof heartbeat>;

/** What a worker asks of the supervisor. */
export const supervisorMethods = {
  /** Comes with the listening socket, for who follows it in this place. */
  listening: method(nothing, nothing),
  heartbeat: method(heartbeat, nothing),
  report: method(report, nothing),
  want: method(z.strictObject({ key: short, count }), nothing),
  giveBack: method(z.strictObject({ key: short, count, wanted: count }), nothing),
  append: method(z.strictObject({ lines: z.string().max(10_000_000).refine(areLines) }), nothing),
  save: method(z.strictObject({ rows: z.array(invocationRow).max(10_000) }), nothing),
  artifact: method(version, bytes.optional()),
  rebuilt: method(version, bytes.optional()),
};

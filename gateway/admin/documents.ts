import { z } from "zod";
import { SCOPES } from "../scope.ts";

/** What the operations answer, for the OpenAPI description, which the tests hold against the server. */

const count = z.int().min(0);
const amount = z.number().min(0);
const instant = z.iso.datetime();
const unchecked = z.looseObject({});

const finding = z.object({
  rule: z.string(),
  severity: z.enum(["error", "warning", "allowed"]),
  message: z.string(),
  hint: z.string(),
  file: z.string(),
  line: count,
  column: count,
  sourceLine: z.string(),
  package: z.string().optional(),
  reason: z.string().optional().describe("of a finding that the source allows"),
});

const analysis = z.object({ passed: z.boolean(), findings: z.array(finding), config: unchecked });

export const functionDocument = z.object({
  id: z.uuid(),
  name: z.string(),
  version: count.describe("the one with the largest share of the traffic"),
  revision: count.describe("counts every change"),
  traffic: z.record(z.string(), amount).describe("percent by version"),
  sticky: z.string().nullable(),
  access: z.enum(["public", "key"]),
  path: z.string().describe("on the edge"),
  previews: z.record(z.string(), z.string()).describe("paths of single versions"),
  limits: z.object({ timeoutMs: count, memoryMb: count, concurrency: count, fuel: count.nullable() }),
  config: unchecked,
  createdAt: instant,
  updatedAt: instant,
  activeExecutions: count,
});

export const deploymentDocument = z.object({
  function: functionDocument,
  version: count,
  created: z.boolean().describe("false: the same content had been deployed before, as this version"),
  analysis,
});

export const functionsDocument = z.object({ functions: z.array(functionDocument) });
export const deletedDocument = z.object({
  name: z.string(),
  deleted: z.literal(true),
  stillRunning: count.describe("executions that outlasted the wait for them"),
});
export const changedDocument = z.object({ function: functionDocument, version: count });
export const functionChangeDocument = z.object({ function: functionDocument });

export const versionsDocument = z.object({
  versions: z.array(
    z.object({
      version: count,
      artifactHash: z.string(),
      artifactBytes: count,
      config: unchecked,
      findings: z.array(finding),
      createdAt: instant,
      live: z.boolean(),
      percent: amount,
    }),
  ),
});

export const secretsDocument = z.object({
  secrets: z.array(z.object({ key: z.string(), updatedAt: instant })),
});
export const rotationDocument = z.object({
  resealed: count.describe("values that another key had sealed"),
  keyMade: z.boolean().describe("false: the keys are in the setting, and the former ones can leave it now"),
});
export const secretChangeDocument = z.object({ revision: count });

const logLine = z.object({ level: z.enum(["debug", "info", "warn", "error"]), message: z.string() });

export const invocationDocument = z.object({
  status: count.describe("what a client of the edge would get"),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  body: z.string(),
  bodyEncoding: z.enum(["utf8", "base64"]),
  metrics: z.looseObject({
    wallMs: amount,
    cpuMs: amount,
    fuel: amount,
    memoryBytes: amount,
    hostCalls: count,
  }),
  logs: z.array(logLine),
  requestId: z.string(),
  error: z.object({ code: z.string(), message: z.string(), detail: unchecked.optional() }).optional(),
});

export const invocationsDocument = z.object({
  invocations: z.array(
    z.object({
      id: z.uuid(),
      functionId: z.uuid(),
      functionName: z.string(),
      version: count,
      requestId: z.string(),
      status: z.enum(["running", "completed", "failed", "timeout", "aborted"]),
      durationMs: amount.nullable(),
      error: z.string().nullable(),
      errorCode: z.string().nullable(),
      timestamp: instant,
      cpuMs: z.number().nullable(),
      fuel: amount.nullable(),
      memoryBytes: amount.nullable(),
      databaseMs: amount.nullable(),
      killReason: z.string().nullable(),
      traceId: z.string().nullable(),
    }),
  ),
});

export const logsDocument = z.object({
  logs: z.array(logLine.extend({ time: instant, requestId: z.string(), version: count })),
});

export const statsDocument = z.looseObject({
  activeExecutions: count,
  queuedExecutions: count,
  functions: count,
  workers: count,
  processes: z.array(
    z.strictObject({
      worker: count,
      pid: count,
      state: z.enum(["starting", "ready", "draining"]),
      startedAt: z.iso.datetime(),
      activeExecutions: count,
      eventLoopDelayMs: z.number(),
      memoryBytes: count,
    }),
  ),
  sandboxes: z.looseObject({ instances: count, busy: count, idle: count }),
  pool: z.looseObject({
    initialized: z.boolean(),
    totalConnections: count,
    availableConnections: count,
    inUseConnections: count,
    maxConnections: count,
  }),
});

const keyDocument = z.object({
  id: z.uuid(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  function: z.string().nullable(),
  createdAt: instant,
  expiresAt: instant.nullable(),
  revokedAt: instant.nullable(),
  lastUsedAt: instant.nullable(),
});

export const keysDocument = z.object({ keys: z.array(keyDocument) });
export const newKeyDocument = z.object({ key: z.string().describe("shown this once"), ...keyDocument.shape });
export const revokedDocument = keyDocument;

export const auditDocument = z.object({
  entries: z.array(
    z.object({
      timestamp: instant,
      actor: z.string(),
      address: z.string().nullable(),
      action: z.string(),
      functionName: z.string().nullable(),
      status: count,
      errorCode: z.string().nullable(),
      requestId: z.string(),
    }),
  ),
});

export const errorDocument = z.object({
  error: z.object({ code: z.string(), message: z.string(), requestId: z.string() }),
  analysis: analysis.optional(),
});

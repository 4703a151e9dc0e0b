import type { Logger } from "./log.ts";
import type { InvocationRow } from "./store/invocations.ts";

export interface OtlpOptions {
  /** Base URL of the collector; spans go to `<endpoint>/v1/traces`. */
  endpoint: string;
  /** More request headers, such as a token. */
  headers: Readonly<Record<string, string>>;
  log: Logger;
}

/** Longest time until a span is sent, ms. */
const FLUSH_INTERVAL_MS = 2_000;
const BATCH_SPANS = 500;
/** Spans that wait while the collector is slow or away; more are dropped. */
const QUEUE_SPANS = 5_000;
const SEND_TIMEOUT_MS = 5_000;

/** The numbers of OpenTelemetry's protocol (opentelemetry-proto, trace.proto). */
const SPAN_KIND_SERVER = 2;
const STATUS_ERROR = 2;

/** Sends executions as spans to an OpenTelemetry collector, by OTLP over HTTP with JSON. What cannot be sent is dropped: tracing never holds up work. */
export class OtlpExporter {
  readonly #options: OtlpOptions;
  readonly #queue: InvocationRow[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #dropped = 0;

  constructor(options: OtlpOptions) {
    this.#options = options;
  }

  /** Takes in rows of the history; those that have ended and are sampled become spans. */
  add(rows: readonly InvocationRow[]): void {
    for (const row of rows) {
      if (row.status === "running" || !row.span?.sampled) continue;
      if (this.#queue.length < QUEUE_SPANS) this.#queue.push(row);
      else this.#dropped++;
    }
    if (this.#queue.length === 0 || this.#timer) return;
    this.#timer = setTimeout(() => void this.flush(), FLUSH_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Sends what is there. Never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending = this.#sending.then(async () => {
      while (this.#queue.length > 0) await this.#send(this.#queue.splice(0, BATCH_SPANS));
    });
    return this.#sending;
  }

  async #send(rows: InvocationRow[]): Promise<void> {
    const { endpoint, headers, log } = this.#options;
    try {
      const response = await fetch(`${endpoint.replace(/\/+$/, "")}/v1/traces`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(toOtlp(rows)),
        signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`the collector answered ${response.status}`);
    } catch (err) {
      this.#dropped += rows.length;
      log.warn({ err, dropped: this.#dropped }, "spans could not be sent");
    }
  }
}

function toOtlp(rows: InvocationRow[]): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: attributes({ "service.name": "thimble" }) },
        scopeSpans: [{ scope: { name: "thimble" }, spans: rows.map(toSpan) }],
      },
    ],
  };
}

function toSpan(row: InvocationRow): object {
  const startMs = row.timestamp.getTime();
  return {
    traceId: row.traceId,
    spanId: row.span?.spanId,
    ...(row.span?.parentSpanId && { parentSpanId: row.span.parentSpanId }),
    name: row.functionName,
    kind: SPAN_KIND_SERVER,
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(startMs + (row.durationMs ?? 0)),
    attributes: attributes({
      "faas.name": row.functionName,
      "faas.version": String(row.version),
      "faas.invocation_id": row.requestId,
      "error.type": row.errorCode,
      "thimble.status": row.status,
      "thimble.kill_reason": row.killReason,
      "thimble.cpu_ms": row.cpuMs,
      "thimble.fuel": row.fuel,
      "thimble.memory_bytes": row.memoryBytes,
      "thimble.database_ms": row.databaseMs,
    }),
    ...(row.errorCode !== null && { status: { code: STATUS_ERROR, message: row.errorCode } }),
  };
}

/** 64 bits as a decimal string, as JSON carries them in OTLP. */
const nanoseconds = (ms: number) => (BigInt(Math.round(ms * 1000)) * 1000n).toString();

function attributes(values: Record<string, string | number | null>): object[] {
  return Object.entries(values).flatMap(([key, value]) => {
    if (value === null) return [];
    return [{ key, value: typeof value === "string" ? { stringValue: value } : { doubleValue: value } }];
  });
}

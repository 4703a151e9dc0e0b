import { randomBytes } from "node:crypto";
import type { HeaderList } from "../runtime/protocol.ts";

/** An execution's place in a distributed trace (W3C Trace Context, level 1). */
export interface Trace {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** This execution's own span, 16 hexadecimal digits. */
  spanId: string;
  /** The caller's span; null when the trace begins here. */
  parentSpanId: string | null;
  sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The trace that a request belongs to; one that belongs to none begins its own when `always` is set. */
export function traceOf(headers: HeaderList, always: boolean): Trace | null {
  const parent = parse(headers.find(([name]) => name === "traceparent")?.[1]);
  if (!parent && !always) return null;
  const spanId = hex(8);
  return parent ? { ...parent, spanId } : { traceId: hex(16), spanId, parentSpanId: null, sampled: true };
}

/** The header for calls that the execution makes. */
export function traceparent({ traceId, spanId, sampled }: Trace): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** A malformed header counts as none, as the standard asks. */
function parse(header: string | undefined): Omit<Trace, "spanId"> | undefined {
  if (header === undefined) return undefined;
  const [, version, traceId = "", parentSpanId = "", flags = "", more] = TRACEPARENT.exec(header) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentSpanId)) return undefined;
  return { traceId, parentSpanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

const hex = (bytes: number) => randomBytes(bytes).toString("hex");

import type { FetchRequest, FetchResponse, QueryRequest, QueryResponse } from "./protocol.ts";

/**
 * What the host does for a sandbox. Implementations live outside the sandbox's thread of trust: they never see guest memory,
 * only validated values. Each rejects with a {@link HostError}, whose message may be shown to the guest.
 */
export interface HostServices {
  /** Outgoing HTTP under the egress rules. The signal ends it in every state, also while the answer's body is read. */
  fetch(
    request: FetchRequest,
    body: Uint8Array | ReadableStream<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ head: FetchResponse; body: Uint8Array | ReadableStream<Uint8Array> }>;
  /** One SQL statement through the bounded pool. */
  query(request: QueryRequest, signal: AbortSignal): Promise<QueryResponse>;
}

/** An error of a host call that the guest gets to see: `name`, `message` and `code` cross into the sandbox, `cause` never does. */
export class HostError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown; name?: string }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = options?.name ?? "Error";
    this.code = code;
  }
}

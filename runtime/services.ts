import type { Cancellation } from "./cancellation.ts";
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
  /** The database for one invocation; asked for at its first query. */
  openDatabase(): DatabaseSession;
}

/** The database as one invocation has it: what it uses is counted and what it holds is known. */
export interface DatabaseSession {
  /** One SQL statement through the bounded pool. The signal stops it, on the server too. */
  query(request: QueryRequest, signal: Cancellation): Promise<QueryResponse>;
  /** Gives back the connection that {@link QueryRequest.lease} has reserved under this number; what is uncommitted is rolled back. */
  release(lease: number): void;
  /** Ends everything that is under way, releases every lease. */
  close(): void;
}

/** An error of a host call that the guest gets to see: `name`, `message`, `code` and `details` cross into the sandbox, `cause` never does. */
export class HostError extends Error {
  readonly code: string;
  /** More that the guest gets to see, as properties of the error: of a database error its `position`, `constraint`, … */
  readonly details: Readonly<Record<string, string>> | undefined;
  constructor(
    code: string,
    message: string,
    options?: { cause?: unknown; name?: string; details?: Readonly<Record<string, string>> | undefined },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = options?.name ?? "Error";
    this.code = code;
    this.details = options?.details;
  }
}

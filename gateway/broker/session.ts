import type { QueryRequest, QueryResponse } from "../../runtime/protocol.ts";
import type { DatabaseSession } from "../../runtime/services.ts";
import { brokerError } from "./errors.ts";
import type { Pool } from "./pool.ts";
import { checkStatement } from "./statement.ts";

export interface SessionTarget {
  functionName: string;
  /** What the function wants to do at most (`config.database`). */
  access: "read" | "write" | false;
}

/** One invocation at the pool. */
export class Session implements DatabaseSession {
  readonly #pool: Pool;
  readonly #target: SessionTarget;
  readonly #closed = new AbortController();

  constructor(pool: Pool, target: SessionTarget) {
    this.#pool = pool;
    this.#target = target;
  }

  async query(request: QueryRequest, signal: AbortSignal): Promise<QueryResponse> {
    const { access } = this.#target;
    if (access !== "read" && access !== "write")
      throw brokerError("db_denied", "this function has no access to the database");
    checkStatement(request);
    const either = AbortSignal.any([signal, this.#closed.signal]);
    const lane = await this.#pool.acquire(either);
    try {
      return await lane.run(request, either, access);
    } finally {
      this.#pool.release(lane);
    }
  }

  release(_lease: number): void {}

  close(): void {
    this.#closed.abort();
  }
}

import type { Broker, SessionTarget } from "../../gateway/broker/broker.ts";
import type { QueryParam } from "../../runtime/protocol.ts";
import type { DatabaseSession } from "../../runtime/services.ts";

const never = new AbortController().signal;

/** One invocation at a broker, without a sandbox: what a guest could send, and more. */
export class TestSession {
  readonly session: DatabaseSession;

  constructor(broker: Broker, functionName = "test", access: SessionTarget["access"] = "write") {
    this.session = broker.openSession({ functionName, access });
  }

  /** Rows of one statement. */
  async rows(text: string, params: QueryParam[] = [], lease?: number, signal = never): Promise<unknown[][]> {
    const request = lease === undefined ? { text, params } : { text, params, lease };
    return (await this.session.query(request, signal)).rows;
  }

  /** Code of the error that it ends with; "ok" when it does not. */
  async code(text: string, params: QueryParam[] = [], lease?: number, signal = never): Promise<string> {
    return this.rows(text, params, lease, signal).then(
      () => "ok",
      (error) => error.code ?? String(error),
    );
  }

  [Symbol.dispose](): void {
    this.session.close();
  }
}

/** First value of one statement in a session of its own. */
export async function firstValue(broker: Broker, text: string, functionName?: string): Promise<unknown> {
  using session = new TestSession(broker, functionName);
  return (await session.rows(text))[0]?.[0];
}

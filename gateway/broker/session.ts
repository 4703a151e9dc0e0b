import { type Cancellation, CancellationSource } from "../../runtime/cancellation.ts";
import type { QueryRequest } from "../../runtime/protocol.ts";
import type { HostError } from "../../runtime/services.ts";
import { BusyClock } from "./busy-clock.ts";
import { aborted, brokerError, leaseEnded } from "./errors.ts";
import type { Lane } from "./lane.ts";
import type { Claim, Pool } from "./pool.ts";
import type { RawResult } from "./raw-result.ts";
import { checkStatement, type Statement } from "./statement.ts";
import type { ResultLimits } from "./statement-exchange.ts";

/** What one result, and what one invocation may take. */
export interface SessionLimits {
  /** Rows and bytes on the wire of one result. */
  result: ResultLimits;
  queries: number;
  /** Of all results together. */
  rows: number;
  resultBytes: number;
  /** Of all statements together. */
  paramBytes: number;
  /** For which connections are held, added up over those held at once. */
  heldMs: number;
}

/** A connection that stays an invocation's own over several statements. */
interface Lease {
  lane: Promise<Lane>;
  /** Settles when the statements given to it so far have ended. */
  last: Promise<unknown>;
}

/** One invocation at the pool: counts what it uses, knows what it holds. */
export class Session {
  readonly #pool: Pool;
  readonly #claim: Claim;
  readonly #access: "read" | "write";
  readonly #limits: SessionLimits;
  /** What is under way, as what ends it. */
  readonly #running = new Set<CancellationSource>();
  #ended: HostError | null = null;
  readonly #leases = new Map<number, Lease>();
  readonly #clock: BusyClock;
  #lastLease = 0;
  #queries = 0;
  #rows = 0;
  #resultBytes = 0;
  #paramBytes = 0;

  constructor(pool: Pool, claim: Claim, access: "read" | "write", limits: SessionLimits) {
    this.#pool = pool;
    this.#claim = claim;
    this.#access = access;
    this.#limits = limits;
    this.#clock = new BusyClock(limits.heldMs, () => this.#end(timeLimit(limits.heldMs)));
  }

  async query(request: QueryRequest, source: CancellationSource): Promise<RawResult> {
    const statement = checkStatement(request);
    this.#count(statement);
    this.#running.add(source);
    try {
      const result =
        request.lease === undefined
          ? await this.#alone(statement, source)
          : await this.#onLease(request.lease, statement, source);
      this.#rows += result.rowCount;
      this.#resultBytes += result.rows.length;
      return result;
    } finally {
      this.#running.delete(source);
    }
  }

  release(number: number): void {
    const lease = this.#leases.get(number);
    if (!lease) return;
    this.#leases.delete(number);
    const give = async () => {
      this.#giveBack(await lease.lane);
    };
    lease.last.then(give).catch(() => {});
  }

  close(): void {
    this.#end(closed);
  }

  #end(reason: HostError): void {
    this.#ended ??= reason;
    for (const source of this.#running) source.abort(reason);
    for (const number of this.#leases.keys()) this.release(number);
  }

  #count({ paramBytes }: Statement): void {
    const limits = this.#limits;
    if (this.#ended) throw this.#ended;
    if (this.#clock.exhausted) throw timeLimit(limits.heldMs);
    if (++this.#queries > limits.queries)
      throw brokerError("db_too_many_queries", `more than ${limits.queries} queries in one invocation`);
    this.#paramBytes += paramBytes;
    if (this.#paramBytes > limits.paramBytes)
      throw brokerError(
        "db_params_too_large",
        `the parameters in one invocation are larger than ${limits.paramBytes} bytes`,
      );
  }

  async #take(signal: Cancellation): Promise<Lane> {
    const lane = await this.#pool.acquire(this.#claim, signal);
    this.#clock.hold();
    return lane;
  }

  #giveBack(lane: Lane): void {
    this.#clock.letGo();
    this.#pool.release(lane);
  }

  async #alone(statement: Statement, signal: Cancellation): Promise<RawResult> {
    const lane = await this.#take(signal);
    try {
      return await this.#run(lane, statement, true, signal);
    } finally {
      this.#giveBack(lane);
    }
  }

  #onLease(number: number, statement: Statement, signal: Cancellation): Promise<RawResult> {
    const lease = this.#leases.get(number) ?? this.#newLease(number);
    const result = lease.last.then(async () => {
      const lane = await lease.lane;
      if (!lane.usable) throw leaseEnded();
      return this.#run(lane, statement, false, signal);
    });
    lease.last = result.catch(() => {});
    return result;
  }

  #newLease(number: number): Lease {
    // one that was released must not silently become another connection, without the transaction
    if (number <= this.#lastLease) throw leaseEnded();
    this.#lastLease = number;
    const source = new CancellationSource();
    this.#running.add(source);
    const lane = this.#take(source);
    const over = () => this.#running.delete(source);
    lane.then(over, over);
    const lease = { lane, last: Promise.resolve() };
    this.#leases.set(number, lease);
    return lease;
  }

  #run(lane: Lane, statement: Statement, alone: boolean, signal: Cancellation): Promise<RawResult> {
    const { result, rows, resultBytes } = this.#limits;
    const limits = {
      rows: Math.min(result.rows, rows - this.#rows),
      bytes: Math.min(result.bytes, resultBytes - this.#resultBytes),
    };
    return lane.run(statement, { access: this.#access, alone, limits, signal });
  }
}

const closed = aborted();
const timeLimit = (heldMs: number) =>
  brokerError("db_time_limit", `database connections were held for more than ${heldMs} ms in one invocation`);

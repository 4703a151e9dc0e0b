import { aborted, brokerError, connectionTimeout } from "./errors.ts";
import type { Lane } from "./lane.ts";

export interface PoolStats {
  /** A connection was made at least once. */
  initialized: boolean;
  /** Connections that exist for the server: those in use and those available. */
  totalConnections: number;
  /** Open and idle. */
  availableConnections: number;
  /** Taken: working for a caller, being opened, being reset, or given up but not yet gone. */
  inUseConnections: number;
  maxConnections: number;
}

interface Waiter {
  resolve(lane: Lane): void;
  reject(error: Error): void;
}

export interface PoolOptions {
  openLane(): Promise<Lane>;
  maxConnections: number;
  /** To get a connection, waiting and opening together. */
  timeoutMs: number;
  /** After which an unused connection is closed. */
  idleTimeoutMs: number;
}

/**
 * At most `maxConnections` lanes, given out first come, first served. A lane's place is free again when its socket is
 * closed and not before, so the bound holds for the server, too.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #idle: { lane: Lane; timer: NodeJS.Timeout }[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #lanes = new Set<Lane>();
  #opening = 0;
  #initialized = false;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Rejects with `db_connection_timeout`, `db_unavailable`, `db_aborted` or `db_closed`. */
  acquire(signal: AbortSignal): Promise<Lane> {
    if (this.#closed) return Promise.reject(closedError());
    if (signal.aborted) return Promise.reject(aborted());
    const { promise, resolve, reject } = Promise.withResolvers<Lane>();
    const waiter: Waiter = { resolve, reject };
    const leave = (error: Error) => {
      if (this.#waiters.delete(waiter)) reject(error);
    };
    const onAbort = () => leave(aborted());
    const timer = setTimeout(
      () => leave(connectionTimeout(this.#options.timeoutMs)),
      this.#options.timeoutMs,
    );
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiters.add(waiter);
    this.#serve();
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    });
  }

  /** Takes a lane back at once and makes it fit for the next caller in the background. */
  release(lane: Lane): void {
    if (!lane.usable) return;
    lane.reset().then(
      () => this.#offer(lane),
      () => lane.destroy(),
    );
  }

  stats(): PoolStats {
    const totalConnections = this.#lanes.size + this.#opening;
    const availableConnections = this.#idle.length;
    return {
      initialized: this.#initialized,
      totalConnections,
      availableConnections,
      inUseConnections: totalConnections - availableConnections,
      maxConnections: this.#options.maxConnections,
    };
  }

  /** Refuses waiting and later callers, and closes every connection. Statements under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.reject(closedError());
    this.#waiters.clear();
    const lanes = [...this.#lanes];
    for (const lane of lanes) lane.destroy();
    await Promise.all(lanes.map((lane) => lane.closed));
  }

  #serve(): void {
    for (const waiter of this.#waiters) {
      const entry = this.#idle.pop();
      if (!entry) break;
      clearTimeout(entry.timer);
      this.#waiters.delete(waiter);
      waiter.resolve(entry.lane);
    }
    while (
      this.#opening < this.#waiters.size &&
      this.#lanes.size + this.#opening < this.#options.maxConnections
    ) {
      this.#open();
    }
  }

  #open(): void {
    this.#opening++;
    this.#options.openLane().then(
      (lane) => {
        this.#opening--;
        this.#initialized = true;
        this.#lanes.add(lane);
        lane.closed.then(() => this.#forget(lane));
        if (this.#closed) lane.destroy();
        else this.#offer(lane);
      },
      (error) => {
        this.#opening--;
        const [first] = this.#waiters;
        if (first) {
          this.#waiters.delete(first);
          first.reject(error);
        }
        this.#serve();
      },
    );
  }

  #offer(lane: Lane): void {
    if (!lane.usable) return;
    const timer = setTimeout(() => {
      this.#removeIdle(lane);
      lane.retire();
    }, this.#options.idleTimeoutMs).unref();
    this.#idle.push({ lane, timer });
    this.#serve();
  }

  #forget(lane: Lane): void {
    this.#removeIdle(lane);
    this.#lanes.delete(lane);
    if (!this.#closed) this.#serve();
  }

  #removeIdle(lane: Lane): void {
    const index = this.#idle.findIndex((entry) => entry.lane === lane);
    if (index >= 0) clearTimeout(this.#idle.splice(index, 1)[0]!.timer);
  }
}

const closedError = () => brokerError("db_closed", "the database pool is closed");

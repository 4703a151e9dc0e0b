import type { Cancellation } from "../../runtime/cancellation.ts";
import { abortError, brokerError, connectionTimeout } from "./errors.ts";
import type { Lane, Role } from "./lane.ts";

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

/** Who asks for a connection. */
export interface Claim {
  functionName: string;
  /** A connection is used by one role only. */
  role: Role;
}

interface Waiter extends Claim {
  /** Gave up while a connection was being opened for it. */
  left: boolean;
  resolve(lane: Lane): void;
  reject(error: Error): void;
}

/** What a function has and wants. */
interface Tenant {
  readonly name: string;
  /** First come, first served. */
  readonly waiters: Set<Waiter>;
  /** Places taken: until the connection is fit for others, or gone. */
  held: number;
  /** Number of the last place that it got; grows. */
  servedAt: number;
  /** ms, of the last time that it asked. */
  askedAt: number;
}

export interface PoolOptions {
  openLane(role: Role): Promise<Lane>;
  maxConnections: number;
  /** To get a connection, waiting and opening together. */
  timeoutMs: number;
  /** After which an unused connection is closed. */
  idleTimeoutMs: number;
}

/** Functions that have not asked for so long are not there, when places are shared out, ms. */
const FORGOTTEN_MS = 600_000;
const FORGET_INTERVAL_MS = 10_000;

/**
 * At most `maxConnections` lanes. A lane's place is free again when its socket is closed and not before, so the bound holds
 * for the server, too.
 *
 * A free place goes to the function that holds the fewest, of these to the one served longest ago, and within a function to
 * the first that came (max-min fairness). Since nothing is taken back from whoever has it, one place is kept for functions that
 * hold none: as long as more than one function uses the database, none gets the last place but as its first.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #tenants = new Map<string, Tenant>();
  /** Those that have waiters. */
  readonly #waiting = new Set<Tenant>();
  readonly #lanes = new Set<Lane>();
  /** The one that was used longest ago comes first. */
  readonly #idle: { lane: Lane; timer: NodeJS.Timeout }[] = [];
  readonly #holders = new Map<Lane, Tenant>();
  /** Who gets the place of a lane that is being closed for that. */
  readonly #heirs = new Map<Lane, () => void>();
  #opening = 0;
  #held = 0;
  #served = 0;
  #forgetAt = 0;
  #initialized = false;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Rejects with `db_connection_timeout`, `db_unavailable`, `db_aborted`, `db_closed`, or the reason of the signal. */
  acquire(claim: Claim, signal: Cancellation): Promise<Lane> {
    if (this.#closed) return Promise.reject(closedError());
    if (signal.aborted) return Promise.reject(abortError(signal));
    const tenant = this.#tenant(claim.functionName);
    if (this.#waiting.size === 0 && this.#mayTake(tenant)) {
      const lane = this.#findIdle(tenant, claim.role);
      if (lane) return Promise.resolve(lane);
    }
    return this.#wait(tenant, claim, signal);
  }

  #wait(tenant: Tenant, claim: Claim, signal: Cancellation): Promise<Lane> {
    const { promise, resolve, reject } = Promise.withResolvers<Lane>();
    const waiter: Waiter = { ...claim, left: false, resolve, reject };
    const leave = (error: Error) => {
      waiter.left = true;
      this.#dequeue(tenant, waiter);
      reject(error);
    };
    const onAbort = () => leave(abortError(signal));
    const { timeoutMs } = this.#options;
    const timer = setTimeout(() => leave(connectionTimeout(timeoutMs)), timeoutMs);
    signal.addEventListener("abort", onAbort);
    tenant.waiters.add(waiter);
    this.#waiting.add(tenant);
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
    for (const { waiters } of this.#waiting) for (const waiter of waiters) waiter.reject(closedError());
    this.#waiting.clear();
    const lanes = [...this.#lanes];
    for (const lane of lanes) lane.destroy();
    await Promise.all(lanes.map((lane) => lane.closed));
  }

  #tenant(name: string): Tenant {
    this.#forgetTenants();
    let tenant = this.#tenants.get(name);
    if (!tenant) {
      tenant = { name, waiters: new Set(), held: 0, servedAt: 0, askedAt: 0 };
      this.#tenants.set(name, tenant);
    }
    tenant.askedAt = performance.now();
    return tenant;
  }

  #forgetTenants(): void {
    const now = performance.now();
    if (now < this.#forgetAt) return;
    this.#forgetAt = now + FORGET_INTERVAL_MS;
    const before = now - FORGOTTEN_MS;
    for (const { name, waiters, held, askedAt } of this.#tenants.values())
      if (waiters.size === 0 && held === 0 && askedAt < before) this.#tenants.delete(name);
  }

  #serve(): void {
    for (;;) {
      const tenant = this.#next();
      if (!tenant) return;
      const [waiter] = tenant.waiters;
      if (!waiter || !this.#place(tenant, waiter)) return;
    }
  }

  /** Not the last place, unless it is its first. */
  #mayTake({ held }: Tenant): boolean {
    return held === 0 || this.#held < this.#options.maxConnections - 1 || this.#tenants.size === 1;
  }

  /** Whose turn it is. */
  #next(): Tenant | undefined {
    let next: Tenant | undefined;
    for (const tenant of this.#waiting) {
      if (!this.#mayTake(tenant)) continue;
      if (!next || tenant.held < next.held || (tenant.held === next.held && tenant.servedAt < next.servedAt))
        next = tenant;
    }
    return next;
  }

  /** Gives the waiter a connection, or the place for one. False when there is none. */
  #place(tenant: Tenant, waiter: Waiter): boolean {
    const idle = this.#findIdle(tenant, waiter.role);
    if (idle) waiter.resolve(idle);
    else if (this.#lanes.size + this.#opening < this.#options.maxConnections) {
      this.#hold(tenant);
      this.#open(tenant, waiter);
    } else if (this.#idle.length > 0) {
      // all places are taken, and this one by a connection of another role
      const lane = this.#takeIdle(0);
      this.#hold(tenant);
      this.#heirs.set(lane, () => this.#open(tenant, waiter));
      lane.close();
    } else return false;
    this.#dequeue(tenant, waiter);
    return true;
  }

  #findIdle(tenant: Tenant, role: Role): Lane | undefined {
    const index = this.#idle.findIndex(({ lane }) => lane.role === role);
    if (index < 0) return undefined;
    const lane = this.#takeIdle(index);
    this.#hold(tenant);
    this.#holders.set(lane, tenant);
    return lane;
  }

  #dequeue(tenant: Tenant, waiter: Waiter): void {
    tenant.waiters.delete(waiter);
    if (tenant.waiters.size === 0) this.#waiting.delete(tenant);
  }

  #hold(tenant: Tenant): void {
    tenant.held++;
    this.#held++;
    tenant.servedAt = ++this.#served;
  }

  #open(tenant: Tenant, waiter: Waiter): void {
    this.#opening++;
    this.#options.openLane(waiter.role).then(
      (lane) => {
        this.#opening--;
        this.#initialized = true;
        this.#lanes.add(lane);
        this.#holders.set(lane, tenant);
        lane.closed.then(() => this.#forget(lane));
        if (this.#closed) {
          lane.destroy();
          waiter.reject(closedError());
        } else if (waiter.left) this.#offer(lane);
        else waiter.resolve(lane);
      },
      (error) => {
        this.#opening--;
        this.#unhold(tenant);
        waiter.reject(error);
        this.#serve();
      },
    );
  }

  #offer(lane: Lane): void {
    if (!lane.usable) return;
    this.#letGo(lane);
    const timer = setTimeout(() => {
      this.#removeIdle(lane);
      lane.close();
    }, this.#options.idleTimeoutMs).unref();
    this.#idle.push({ lane, timer });
    this.#serve();
  }

  #forget(lane: Lane): void {
    this.#removeIdle(lane);
    this.#lanes.delete(lane);
    this.#letGo(lane);
    const inherit = this.#heirs.get(lane);
    this.#heirs.delete(lane);
    inherit?.();
    if (!this.#closed) this.#serve();
  }

  #letGo(lane: Lane): void {
    const holder = this.#holders.get(lane);
    if (holder) this.#unhold(holder);
    this.#holders.delete(lane);
  }

  #unhold(tenant: Tenant): void {
    tenant.held--;
    this.#held--;
  }

  #takeIdle(index: number): Lane {
    const [entry] = this.#idle.splice(index, 1);
    clearTimeout(entry!.timer);
    return entry!.lane;
  }

  #removeIdle(lane: Lane): void {
    const index = this.#idle.findIndex((entry) => entry.lane === lane);
    if (index >= 0) this.#takeIdle(index);
  }
}

const closedError = () => brokerError("db_closed", "the database pool is closed");

import type { FunctionLog } from "../function-log.ts";
import { LogStream } from "../function-log.ts";
import { GuestEnded, longCallBytes } from "../metered-execution.ts";
import type { DatabaseSession, HostServices } from "../services.ts";
import type { Turns } from "../turns.ts";

/** Things that the host keeps for one request at once: streams, headers, requests, … */
const maxResources = 10_000;
/** Handles of a component's own resources, those that are open and those that ever were. */
const maxHandles = 200_000;
/** What one call of the host may make the host copy, bytes. */
const maxCopiedBytes = 32 * 1024 * 1024;
/** Headers and bodies that the host takes in for one request, those that were dropped again included, bytes. */
const maxHeldBytes = 64 * 1024 * 1024;
/** Fetches and queries of one request. */
const maxOperations = 1_000;

export interface WorldOptions {
  env: Readonly<Record<string, string>>;
  functionName: string;
  services: HostServices;
  log: FunctionLog;
  turns: Turns;
  /** Largest response body, bytes. */
  outputLimitBytes: number;
  /** Takes fuel for a call that handles so many bytes. */
  charge(bytes: number): void;
  /** Has the clock looked at when the call of the host is over. */
  endSlice(): void;
}

/** What the host keeps for one request to a component, and the bounds of it. */
export class World {
  readonly options: WorldOptions;
  readonly out: LogStream;
  readonly err: LogStream;
  /** What the component gave to `exit`. */
  exitCode: number | null = null;
  /** It answered with more than it may. */
  outputTooLarge = false;
  /** Why the host goes no further with it. */
  refused: string | null = null;
  /** Operations that it started. */
  operations = 0;
  readonly #began = Date.now();
  readonly #stopped = Promise.withResolvers<never>();
  readonly #controller = new AbortController();
  #now = this.#began;
  #resources = 0;
  #copied = 0;
  #held = 0;
  #database: DatabaseSession | null = null;

  constructor(options: WorldOptions) {
    this.options = options;
    this.out = new LogStream(options.log, "info");
    this.err = new LogStream(options.log, "info");
    this.#stopped.promise.catch(() => {});
  }

  /** Nothing that the component does counts any more. */
  get over(): boolean {
    return this.exitCode !== null || this.outputTooLarge || this.refused !== null;
  }

  /** ms since the epoch: stands still while the component computes. */
  get now(): number {
    return this.#now;
  }

  /** ms since the request came. */
  get uptime(): number {
    return this.#now - this.#began + 1;
  }

  /** Before a call of the host is answered. @throws GuestEnded when the component may not go on. */
  called(): void {
    if (this.over) throw new GuestEnded();
    this.#copied = 0;
    this.options.charge(0);
  }

  /** Before so many bytes are copied out of the component. @throws GuestEnded when one call asks for too much. */
  spend(bytes: number): void {
    this.#copied += bytes;
    if (this.#copied > longCallBytes) this.options.endSlice();
    if (this.#copied > maxCopiedBytes)
      this.refuse(`a call of the host carries more than ${maxCopiedBytes} bytes`);
  }

  /** Before so many bytes are kept. @throws GuestEnded beyond their number. */
  hold(bytes: number): void {
    this.#held += bytes;
    if (this.#held > maxHeldBytes) this.refuse(`more than ${maxHeldBytes} bytes of headers and bodies`);
  }

  /** Before the transpiler's code keeps one more. @throws GuestEnded beyond their number. */
  handles(kept: number): void {
    if (kept > maxHandles) this.refuse(`more than ${maxHandles} handles were made`);
  }

  /** A new thing that the host keeps. @throws GuestEnded beyond their number. */
  keep(): void {
    if (++this.#resources > maxResources) this.refuse(`more than ${maxResources} resources are open`);
  }

  drop(): void {
    this.#resources--;
  }

  /** Goes no further. */
  refuse(why: string): never {
    this.refused ??= why;
    throw new GuestEnded();
  }

  exit(code: number): never {
    this.exitCode ??= code;
    throw new GuestEnded();
  }

  /** Lets others run until something has happened. Rejects with GuestEnded when the request is over before that. */
  async wait<T>(something: Promise<T>): Promise<T> {
    const result = await this.options.turns.pause(Promise.race([something, this.#stopped.promise]));
    this.#now = Date.now();
    return result;
  }

  /** Starts something outside, which ends with the request. */
  start<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (++this.operations > maxOperations) this.refuse(`more than ${maxOperations} operations were started`);
    const started = work(this.#controller.signal);
    started.catch(() => {});
    return started;
  }

  /** The database, opened at the first query. */
  database(): DatabaseSession {
    this.#database ??= this.options.services.openDatabase();
    return this.#database;
  }

  /** Wakes the component, if it waits, to end. */
  stop(): void {
    this.#stopped.reject(new GuestEnded());
  }

  /** Ends whatever it has started. */
  [Symbol.dispose](): void {
    this.#controller.abort();
    this.#database?.close();
    this.out.end();
    this.err.end();
  }
}

/** Something that the host keeps for a component, until that drops it. */
export abstract class Resource {
  protected readonly world: World;

  constructor(world: World) {
    world.keep();
    this.world = world;
  }

  [Symbol.dispose](): void {
    this.world.drop();
  }
}

import type { GuestError, HostCall as HostCallMessage } from "../protocol.ts";
import { CallState, Op, Refused } from "../protocol.ts";
import { type PartName, partNames } from "./parts.ts";
import { decodeText, parseJson, stringifyJson } from "./primordials.ts";

type HostCall = (op: Op, text?: string, bytes?: Uint8Array | string) => number;

/** Called once with the outcome of an operation: an error made by the host, or text and bytes. */
export type Completion = (error: Error | null, text: string, bytes: Uint8Array) => void;

function takeGlobal<T>(name: string): T {
  const key = Symbol.for(name);
  const holder = globalThis as unknown as Record<symbol, T>;
  const value = holder[key] as T;
  delete holder[key];
  return value;
}

export const host: HostCall = takeGlobal("thimble.host");
export const random: () => number = takeGlobal("thimble.random");
/** Whether a string has no character beyond Latin-1. */
export const latin1: (text: string) => boolean = takeGlobal("thimble.latin1");
const load: (length: number) => unknown = takeGlobal("thimble.load");

/** What a part of the library exports. */
export function loadPart<T>(name: PartName): T {
  return load(host(Op.load, `${partNames.indexOf(name)}`)) as T;
}

// An object without a prototype, not a Map: no method of it can be patched.
const pending: Record<number, Completion> = Object.create(null);

/** What top-level code can't have. */
export class BuildTimeError extends Error {}

export function buildTimeError(what: string): Error {
  return new BuildTimeError(
    `${what} is not available in top-level code: it runs once at build time. Move it into the handler.`,
  );
}

/** Starts an operation; `what` names it in errors. Throws when the host refuses it. */
export function start(
  what: string,
  op: Op,
  text: string,
  bytes: Uint8Array | string | undefined,
  completion: Completion,
): number {
  const id = host(op, text, bytes);
  if (id > 0) {
    pending[id] = completion;
    return id;
  }
  throw refusal(what, id);
}

/**
 * Calls a service of the host and waits for its result; `what` names it in errors.
 *
 * @throws the host's error, and one that says so when it is refused.
 */
export function callHost(what: string, call: HostCallMessage, bytes?: Uint8Array): Uint8Array<ArrayBuffer> {
  let length = host(Op.call, stringifyJson(call), bytes);
  while (length === CallState.pending) length = host(Op.result);
  if (length >= 0) return take(length);
  if (length <= CallState.failed) throw hostError(decodeText(take(CallState.failed - length)));
  throw refusal(what, length);
}

function take(length: number): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(length);
  if (length > 0) host(Op.take, undefined, result);
  return result;
}

function refusal(what: string, answer: number): Error {
  if (answer === Refused.building) return buildTimeError(what);
  const tooLarge = answer === Refused.tooLarge;
  const reason = tooLarge ? "it is too large" : "too many operations in this invocation";
  const error = new Error(`${what} was refused: ${reason}.`);
  return Object.assign(error, { code: tooLarge ? "too_large" : "too_many_operations" });
}

export function cancel(id: number): void {
  if (pending[id] === undefined) return;
  delete pending[id];
  host(Op.cancel, `${id}`);
}

/** Delivers an outcome; ids that are unknown (cancelled, finished, never started) are ignored. */
export function settle(id: number, error: Error | null, text: string, bytes: Uint8Array): void {
  const completion = pending[id];
  if (completion === undefined) return;
  delete pending[id];
  completion(error, text, bytes);
}

/** An Error from the host's description of one. */
export function hostError(text: string): Error {
  const { name, message, code, details } = parseJson(text) as GuestError;
  const error: Error & { code?: string } = name === "TypeError" ? new TypeError(message) : new Error(message);
  if (name !== error.name)
    Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  if (code !== undefined) error.code = code;
  if (details !== undefined) Object.assign(error, details);
  return error;
}

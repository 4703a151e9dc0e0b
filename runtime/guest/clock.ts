import { HeadLine } from "../protocol.ts";
import { headLine, type Incoming } from "./head.ts";

/** The request that is answered now; null in top-level code. */
let current: Incoming | null = null;

export function beginTime(incoming: Incoming): void {
  current = incoming;
}

export const currentRequest = (): Incoming | null => current;

/**
 * The time of the request: what `performance.now()` and events count from. One grain of the clock before what it shows now, so that
 * times are positive as the standard has them.
 */
export const timeOrigin = (): number => (current === null ? 0 : +headLine(current, HeadLine.now)) - 1;

/** Milliseconds since the request began. As all clocks of a function it stands while it computes. */
export const elapsed = (): number => Date.now() - timeOrigin();

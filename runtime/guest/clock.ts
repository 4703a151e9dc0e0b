let origin: () => number = () => 0;

/**
 * The time of the request: what `performance.now()` and events count from. One grain of the clock before what it shows now, so that
 * times are positive as the standard has them.
 */
export function beginTime(now: () => number): void {
  origin = now;
}

export const timeOrigin = (): number => origin() - 1;

/** Milliseconds since the request began. As all clocks of a function it stands while it computes. */
export const elapsed = (): number => Date.now() - timeOrigin();

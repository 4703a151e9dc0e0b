// JavaScript Promise Integration (WebAssembly/js-promise-integration), which TypeScript's libraries don't declare yet.
declare namespace WebAssembly {
  /** An import that suspends its caller's stack until the promise that it returns has settled. */
  class Suspending {
    constructor(call: (...args: never[]) => unknown);
  }
  /** An export whose stack may be suspended: it returns a promise. */
  function promising(call: (...args: never[]) => unknown): (...args: never[]) => Promise<unknown>;
}

import { addFetchListener } from "./entry.ts";
import { type Event, globalTarget } from "./events.ts";

type AddArguments = Parameters<typeof globalTarget.addEventListener>;

/** A fetch listener is the function's entry; others hear of what happens to the invocation (`unhandledrejection`). */
export function addEventListener(...args: AddArguments): void {
  const [type, callback] = args;
  if (type === "fetch") addFetchListener(type, callback as never);
  else globalTarget.addEventListener(...args);
}

export function removeEventListener(...args: AddArguments): void {
  globalTarget.removeEventListener(...args);
}

export function dispatchEvent(event: Event): boolean {
  return globalTarget.dispatchEvent(event);
}

for (const type of ["unhandledrejection", "rejectionhandled", "error"]) {
  const name = `on${type}`;
  Object.defineProperty(globalThis, name, {
    get: () => Reflect.get(globalTarget, name),
    set: (value) => Reflect.set(globalTarget, name, value),
    configurable: true,
    enumerable: false,
  });
}

interface Options {
  signal?: AbortSignal;
  ref?: boolean;
}

const aborted = (signal: AbortSignal): Error =>
  Object.assign(new Error("The operation was aborted", { cause: signal.reason }), {
    name: "AbortError",
    code: "ABORT_ERR",
  });

function wait<T>(start: (done: () => void) => unknown, value: T, { signal }: Options = {}): Promise<T> {
  if (signal?.aborted) return Promise.reject(aborted(signal));
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer as number);
      reject(aborted(signal!));
    };
    const timer = start(() => {
      signal?.removeEventListener("abort", abort);
      resolve(value);
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

export const setTimeout = <T>(delay?: number, value?: T, options?: Options): Promise<T> =>
  wait((done) => globalThis.setTimeout(done, delay), value as T, options);

export const setImmediate = <T>(value?: T, options?: Options): Promise<T> =>
  wait((done) => globalThis.setImmediate(done), value as T, options);

export async function* setInterval<T>(delay?: number, value?: T, options?: Options): AsyncGenerator<T> {
  for (;;) yield await setTimeout(delay, value as T, options);
}

export const scheduler = {
  wait: (delay: number, options?: Options): Promise<void> => setTimeout(delay, undefined, options),
  yield: (): Promise<void> => setImmediate(),
};

export default { setTimeout, setImmediate, setInterval, scheduler };

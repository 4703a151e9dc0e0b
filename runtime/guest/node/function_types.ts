/** Any function at all, for what is wrapped. */
// biome-ignore lint/suspicious/noExplicitAny: parameters are contravariant, so that nothing else takes every function
export type AnyFunction<R = any> = (...args: any[]) => R;

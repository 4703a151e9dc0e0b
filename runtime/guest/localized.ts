/** Methods that depend on the language, with whose they are. */
const localized = [
  [Number.prototype, "toLocaleString"],
  [BigInt.prototype, "toLocaleString"],
  [Date.prototype, "toLocaleString"],
  [Date.prototype, "toLocaleDateString"],
  [Date.prototype, "toLocaleTimeString"],
  [String.prototype, "localeCompare"],
  [String.prototype, "toLocaleUpperCase"],
  [String.prototype, "toLocaleLowerCase"],
] as const;

/** The first call of one of them loads `Intl`, which puts the real ones in their place. */
export function localizeLazily(load: () => unknown): void {
  for (const [prototype, name] of localized) {
    const value = {
      [name](this: unknown, ...args: unknown[]): unknown {
        load();
        const method = (prototype as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!;
        return Reflect.apply(method, this, args);
      },
    }[name];
    const { length } = (prototype as unknown as Record<string, { length: number }>)[name]!;
    Object.defineProperty(value, "length", { value: length, configurable: true });
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  }
}

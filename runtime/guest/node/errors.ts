/** An error as Node makes them: with a code, and the code in its stack's first line. */
export function nodeError<E extends ErrorConstructor | TypeErrorConstructor | RangeErrorConstructor>(
  Type: E,
  code: string,
  message: string,
): InstanceType<E> & { code: string } {
  return Object.assign(new Type(message), { code }) as InstanceType<E> & { code: string };
}

/** What Node says of an argument of the wrong type. */
export function invalidType(name: string, expected: string, actual: unknown): TypeError {
  const kind = /^[A-Z]/.test(expected) ? `an instance of ${expected}` : `of type ${expected}`;
  return nodeError(
    TypeError,
    "ERR_INVALID_ARG_TYPE",
    `The "${name}" argument must be ${kind}. Received ${received(actual)}`,
  );
}

export function outOfRange(name: string, range: string, actual: unknown): RangeError {
  return nodeError(
    RangeError,
    "ERR_OUT_OF_RANGE",
    `The value of "${name}" is out of range. It must be ${range}. Received ${separated(actual)}`,
  );
}

function separated(value: unknown): string {
  const text = String(value);
  const long = typeof value === "bigint" || (Number.isInteger(value) && Math.abs(value as number) > 2 ** 32);
  return (long ? text.replace(/\B(?=(\d{3})+$)/g, "_") : text) + (typeof value === "bigint" ? "n" : "");
}

export function received(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "object") {
    const name = (value as { constructor?: { name?: string } }).constructor?.name;
    return name ? `an instance of ${name}` : "[Object: null prototype] {}";
  }
  const shown =
    typeof value === "string" ? `'${value.length > 28 ? `${value.slice(0, 25)}...` : value}'` : String(value);
  return `type ${typeof value} (${shown}${typeof value === "bigint" ? "n" : ""})`;
}

export function notSupported(module: string, member: string): Error {
  return nodeError(Error, "ERR_NOT_SUPPORTED", `node:${module} is not supported in a sandbox (${member})`);
}

/** A member of a module that throws when it is called. */
export function unsupported(module: string, member: string): (...args: unknown[]) => never {
  return () => {
    throw notSupported(module, member);
  };
}

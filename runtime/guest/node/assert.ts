import { deepEqual as alike, looselyEqual } from "./deep_equal.ts";
import { invalidType } from "./errors.ts";
import { platform } from "./platform.ts";

type Message = string | Error | undefined;
type Expected = RegExp | object | ((error: unknown) => unknown);
interface Options {
  message?: string | undefined;
  actual?: unknown;
  expected?: unknown;
  operator?: string | undefined;
}

export class AssertionError extends Error {
  readonly code = "ERR_ASSERTION";
  readonly actual: unknown;
  readonly expected: unknown;
  readonly operator: string | undefined;
  readonly generatedMessage: boolean;
  constructor({ message, actual, expected, operator }: Options) {
    super(message ?? `${platform.inspect(actual)} ${operator} ${platform.inspect(expected)}`);
    Object.defineProperty(this, "name", { value: "AssertionError", configurable: true, writable: true });
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    this.generatedMessage = message === undefined;
  }
}

function check(
  good: boolean,
  message: Message,
  operator: string,
  actual: unknown,
  expected: unknown,
  generated: string,
): void {
  if (good) return;
  if (message instanceof Error) throw message;
  const error = new AssertionError({ message: message ?? generated, actual, expected, operator });
  Object.assign(error, { generatedMessage: message === undefined });
  throw error;
}

const both = (text: string, actual: unknown, expected: unknown) =>
  `${text}\n\n${platform.inspect(actual)} !== ${platform.inspect(expected)}\n`;

export function ok(value?: unknown, message?: Message): asserts value {
  // biome-ignore lint/complexity/noArguments: how many there are is what Node asks for
  const none = arguments.length === 0;
  const generated = none
    ? "No value argument passed to `assert.ok()`"
    : "The expression evaluated to a falsy value";
  check(Boolean(value), message, "==", value, true, generated);
}

export const equal = (actual: unknown, expected: unknown, message?: Message): void =>
  check(
    looselyEqual(actual, expected) || (Number.isNaN(actual) && Number.isNaN(expected)),
    message,
    "==",
    actual,
    expected,
    `${platform.inspect(actual)} == ${platform.inspect(expected)}`,
  );
export const notEqual = (actual: unknown, expected: unknown, message?: Message): void =>
  check(
    !looselyEqual(actual, expected),
    message,
    "!=",
    actual,
    expected,
    `${platform.inspect(actual)} != ${platform.inspect(expected)}`,
  );
export const strictEqual = (actual: unknown, expected: unknown, message?: Message): void =>
  check(
    Object.is(actual, expected),
    message,
    "strictEqual",
    actual,
    expected,
    both("Expected values to be strictly equal:", actual, expected),
  );
export const notStrictEqual = (actual: unknown, expected: unknown, message?: Message): void =>
  check(
    !Object.is(actual, expected),
    message,
    "notStrictEqual",
    actual,
    expected,
    `Expected "actual" to be strictly unequal to: ${platform.inspect(expected)}`,
  );
export const deepEqual = (actual: unknown, expected: unknown, message?: Message): void =>
  check(
    alike(actual, expected, false),
    message,
    "deepEqual",
    actual,
    expected,
    both("Expected values to be loosely deep-equal:", actual, expected),
  );
export const notDeepEqual = (actual: unknown, expected: unknown, message?: Message): void =>
  check(
    !alike(actual, expected, false),
    message,
    "notDeepEqual",
    actual,
    expected,
    `Expected "actual" not to be loosely deep-equal to: ${platform.inspect(expected)}`,
  );
export const deepStrictEqual = (actual: unknown, expected: unknown, message?: Message): void =>
  check(
    alike(actual, expected, true),
    message,
    "deepStrictEqual",
    actual,
    expected,
    both("Expected values to be strictly deep-equal:", actual, expected),
  );
export const notDeepStrictEqual = (actual: unknown, expected: unknown, message?: Message): void =>
  check(
    !alike(actual, expected, true),
    message,
    "notDeepStrictEqual",
    actual,
    expected,
    `Expected "actual" not to be strictly deep-equal to: ${platform.inspect(expected)}`,
  );
export const match = (text: string, pattern: RegExp, message?: Message): void =>
  check(
    typeof text === "string" && pattern.test(text),
    message,
    "match",
    text,
    pattern,
    `The input did not match the regular expression ${pattern}. Input:\n\n${platform.inspect(text)}\n`,
  );
export const doesNotMatch = (text: string, pattern: RegExp, message?: Message): void =>
  check(
    !pattern.test(text),
    message,
    "doesNotMatch",
    text,
    pattern,
    `The input was expected to not match the regular expression ${pattern}. Input:\n\n${platform.inspect(text)}\n`,
  );

export function fail(message: Message = "Failed"): never {
  if (message instanceof Error) throw message;
  throw new AssertionError({ message, operator: "fail" });
}
export function ifError(value: unknown): void {
  if (value === null || value === undefined) return;
  const shown = value instanceof Error ? value.message : platform.inspect(value);
  throw new AssertionError({
    message: `ifError got unwanted exception: ${shown}`,
    actual: value,
    expected: null,
    operator: "ifError",
  });
}

function checkThrown(
  error: unknown,
  expected: Expected | undefined,
  message: Message,
  operator: string,
): void {
  if (expected === undefined) return;
  if (typeof expected === "function") {
    if (expected.prototype !== undefined && error instanceof expected) return;
    if (Object.prototype.isPrototypeOf.call(Error, expected)) {
      const got = error instanceof Error ? error.name : platform.inspect(error);
      check(
        false,
        message,
        operator,
        error,
        expected,
        `The error is expected to be an instance of "${expected.name}". Received "${got}"`,
      );
    }
    if (Reflect.apply(expected, {}, [error]) === true) return;
    check(false, message, operator, error, expected, 'The validation function is expected to return "true".');
  } else if (expected instanceof RegExp) {
    check(
      expected.test(String(error)),
      message,
      operator,
      error,
      expected,
      `The input did not match the regular expression ${expected}. Input:\n\n${platform.inspect(String(error))}\n`,
    );
  } else {
    for (const key of [...Object.keys(expected), ...(expected instanceof Error ? ["name", "message"] : [])]) {
      const [actual, wanted] = [error, expected].map((each) => (each as Record<string, unknown>)[key]);
      const good =
        wanted instanceof RegExp && typeof actual === "string"
          ? wanted.test(actual)
          : alike(actual, wanted, true);
      check(
        good,
        message,
        operator,
        error,
        expected,
        both(`Expected values to be strictly deep-equal: (${key})`, actual, wanted),
      );
    }
  }
}

const expectation = (expected: unknown, message: Message): [Expected | undefined, Message] =>
  typeof expected === "string" ? [undefined, expected] : [expected as Expected | undefined, message];

export function throws(work: () => unknown, wanted?: Expected | string, text?: Message): void {
  if (typeof work !== "function") throw invalidType("fn", "function", work);
  const [expected, message] = expectation(wanted, text);
  try {
    work();
  } catch (error) {
    checkThrown(error, expected, message, "throws");
    return;
  }
  check(false, message, "throws", undefined, expected, "Missing expected exception.");
}
export function doesNotThrow(work: () => unknown, message?: Message): void {
  try {
    work();
  } catch (error) {
    check(
      false,
      message,
      "doesNotThrow",
      error,
      undefined,
      `Got unwanted exception.\nActual message: "${(error as Error)?.message}"`,
    );
  }
}
export async function rejects(
  work: Promise<unknown> | (() => Promise<unknown>),
  wanted?: Expected | string,
  text?: Message,
): Promise<void> {
  const [expected, message] = expectation(wanted, text);
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    checkThrown(error, expected, message, "rejects");
    return;
  }
  check(false, message, "rejects", undefined, expected, "Missing expected rejection.");
}
export async function doesNotReject(
  work: Promise<unknown> | (() => Promise<unknown>),
  message?: Message,
): Promise<void> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    check(
      false,
      message,
      "doesNotReject",
      error,
      undefined,
      `Got unwanted rejection.\nActual message: "${(error as Error)?.message}"`,
    );
  }
}

const common = {
  AssertionError,
  ok,
  match,
  doesNotMatch,
  fail,
  ifError,
  throws,
  doesNotThrow,
  rejects,
  doesNotReject,
  strictEqual,
  notStrictEqual,
  deepStrictEqual,
  notDeepStrictEqual,
};
const assert = Object.assign(
  (value?: unknown, message?: Message): asserts value => ok(value, message),
  common,
  { equal, notEqual, deepEqual, notDeepEqual },
);
export const strict = Object.assign(
  (value?: unknown, message?: Message): asserts value => ok(value, message),
  common,
  {
    equal: strictEqual,
    notEqual: notStrictEqual,
    deepEqual: deepStrictEqual,
    notDeepEqual: notDeepStrictEqual,
  },
);
Object.assign(assert, { strict });
Object.assign(strict, { strict });

export { assert };
export default assert;

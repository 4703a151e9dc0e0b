import type { Context, FunctionConfig } from "thimble";

export const config = { timeoutMs: 1000, memoryMb: 32 } satisfies FunctionConfig;

interface Input {
  action?: string;
  name?: string;
  [field: string]: unknown;
}

const actions: Record<string, (input: Input, query: URLSearchParams) => unknown> = {
  list: () => ({ actions: Object.keys(actions) }),
  greet: ({ name }, query) => ({ message: `Hello, ${name ?? query.get("name") ?? "world"}!` }),
  echo: (input) => ({ echo: input }),
  sum: ({ numbers }) => {
    if (!Array.isArray(numbers) || !numbers.every(Number.isFinite))
      throw new InputError("numbers must be an array of numbers");
    return { sum: numbers.reduce((total, number) => total + number, 0) };
  },
};

class InputError extends Error {}

/** @function Runs the action that the body names. */
export function handler(body: Input | undefined, context: Context): unknown {
  const { searchParams } = new URL(context.request.url);
  const name = body?.action ?? searchParams.get("action") ?? "list";
  try {
    if (!Object.hasOwn(actions, name))
      throw new InputError(`unknown action "${name}"; there are: ${Object.keys(actions).join(", ")}`);
    return {
      action: name,
      ...(actions[name]?.(body ?? {}, searchParams) as object),
      query: Object.fromEntries(searchParams),
    };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return Response.json({ error: error.message }, { status: 400 });
  }
}

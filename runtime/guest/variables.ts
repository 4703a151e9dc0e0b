/** The function's variables: one object, filled at each request, so that what top-level code kept of it stays right. */
export const env: Record<string, string> = {};

export function setEnv(variables: Record<string, string>): void {
  for (const name in variables) env[name] = variables[name]!;
}

/** The function's variables: one object, filled after top-level code has run, so that what that kept of it stays right. */
export const env: Record<string, string> = { NODE_ENV: "production" };

export function setVariables(variables: Record<string, string>): void {
  for (const name in variables) env[name] = variables[name]!;
}

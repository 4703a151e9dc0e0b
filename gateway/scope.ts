/** What a key may do. `admin` may everything; `deploy` may also read. */
export const SCOPES = ["read", "invoke", "deploy", "admin"] as const;

export type Scope = (typeof SCOPES)[number];

/** Whether someone who holds `held` may do what asks for `asked`. */
export function allows(held: readonly Scope[], asked: Scope): boolean {
  return held.includes(asked) || held.includes("admin") || (asked === "read" && held.includes("deploy"));
}

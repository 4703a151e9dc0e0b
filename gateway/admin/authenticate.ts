import { PlatformError } from "../errors.ts";
import { allows, type Scope } from "../scope.ts";
import type { KeyStore } from "../store/keys.ts";

/** Who a request comes from. */
export interface Principal {
  /** For the audit log. */
  actor: string;
  scopes: readonly Scope[];
  /** The only function that may be touched; null: all. */
  functionName: string | null;
}

/** Turns the `Authorization` header into who it is. Throws `unauthorized`. */
export type Authenticate = (authorization: string | undefined) => Promise<Principal>;

/** The server's own key, which may everything, or one of those in the store. */
export function authenticator(
  isServerKey: (presented: string) => boolean,
  keys: Pick<KeyStore, "find">,
): Authenticate {
  return async (authorization) => {
    const presented = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    if (presented === undefined) {
      throw new PlatformError("unauthorized", "Send the admin key: Authorization: Bearer <key>");
    }
    if (isServerKey(presented)) return { actor: "admin", scopes: ["admin"], functionName: null };
    const key = presented.startsWith("thk_") ? await keys.find(presented) : undefined;
    if (!key) throw new PlatformError("unauthorized", "The key is wrong, expired or revoked");
    return { actor: `${key.name} (${key.id})`, scopes: key.scopes, functionName: key.functionName };
  };
}

/** Throws `forbidden`. `functionName`: the function that the request is about; null: none in particular. */
export function authorize(principal: Principal, scope: Scope, functionName: string | null): void {
  if (!allows(principal.scopes, scope)) {
    throw new PlatformError("forbidden", `This needs a key with the scope "${scope}"`);
  }
  if (principal.functionName !== null && principal.functionName !== functionName) {
    throw new PlatformError(
      "forbidden",
      `This key is good for the function "${principal.functionName}" only`,
    );
  }
}

import { readFileSync } from "node:fs";
import type { Config } from "../config.ts";
import { ConfigError } from "../config-error.ts";

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

export interface TlsFiles {
  /** PEM. */
  cert: Buffer;
  key: Buffer;
}

/**
 * Certificate and key of the admin port, if it has them. Throws `ConfigError` when they cannot be read, and when others than this
 * machine could reach the port without TLS and nobody has allowed it.
 */
export function adminTls({ host, tls, allowInsecure }: Config["admin"]): TlsFiles | undefined {
  if (tls) return { cert: read("ADMIN_TLS_CERT", tls.certFile), key: read("ADMIN_TLS_KEY", tls.keyFile) };
  if (isLoopback(host) || allowInsecure) return undefined;
  throw new ConfigError([
    {
      name: "ADMIN_HOST",
      value: host,
      message:
        "keys would travel unencrypted. Set ADMIN_TLS_CERT and ADMIN_TLS_KEY, or ADMIN_ALLOW_INSECURE=true behind a proxy that speaks TLS",
    },
  ]);
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError([{ name, value: path, message: `cannot be read (${code})` }]);
  }
}

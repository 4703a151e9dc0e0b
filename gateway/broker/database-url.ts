import type { SslMode, TcpTarget } from "./tcp-socket.ts";

/** What `postgres://user:password@host:port/database?sslmode=…` says. */
export interface DatabaseTarget extends TcpTarget {
  user: string;
  password: string;
  database: string;
}

/** Throws a TypeError, which never quotes the URL, since that may hold a password. */
export function parseDatabaseUrl(databaseUrl: string): DatabaseTarget {
  let url: URL;
  try {
    url = new URL(databaseUrl);
  } catch {
    throw new TypeError("the database URL is not a URL");
  }
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:")
    throw new TypeError(`the database URL has the protocol ${JSON.stringify(url.protocol)}, not postgres:`);
  const user = decodeURIComponent(url.username) || "postgres";
  return {
    host: url.hostname.replace(/^\[|\]$/g, "") || "localhost",
    port: Number(url.port || 5432),
    sslMode: parseSslMode(url.searchParams.get("sslmode")),
    user,
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || user,
  };
}

/** Which database it is, without who uses it: `host:port/database`. */
export const nameOfDatabase = ({ host, port, database }: DatabaseTarget) => `${host}:${port}/${database}`;

function parseSslMode(value: string | null): SslMode {
  switch (value) {
    case null:
      return "prefer";
    case "verify-ca":
      return "verify-full";
    case "disable":
    case "prefer":
    case "require":
    case "verify-full":
      return value;
    default:
      throw new TypeError(`sslmode ${JSON.stringify(value)} is not supported`);
  }
}

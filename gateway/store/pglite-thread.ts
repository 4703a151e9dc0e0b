import { parentPort, workerData } from "node:worker_threads";
import { PGlite, types } from "@electric-sql/pglite";
import { startParams } from "../pglite-start.ts";

/** The embedded Postgres, in a thread of its own: it computes synchronously, and must not hold up requests. */

export interface QueryMessage {
  id: number;
  sql: string;
  params: unknown[];
  rowMode: "array" | "object";
  /** What `/dev/blob` is for a COPY. */
  blob: string | undefined;
}

export type ThreadReply =
  | { id: number; rows: unknown[]; affectedRows: number | undefined }
  | { id: number; error: { message: string; code: string | undefined } };

const asText = (value: string) => value;

// The types that drizzle parses itself (arrays by their OIDs, as in its own PGlite driver).
const parsers = Object.fromEntries(
  [types.TIMESTAMP, types.TIMESTAMPTZ, types.INTERVAL, types.DATE, 1231, 1115, 1185, 1187, 1182].map(
    (oid) => [oid, asText],
  ),
);

const port = parentPort;
if (port) {
  const db = new PGlite(workerData.path, { startParams });
  const opened = db.waitReady.then(
    () => port.postMessage({ id: 0, rows: [], affectedRows: 0 } satisfies ThreadReply),
    (error) => port.postMessage(failure(0, error)),
  );
  port.on("message", async (message: QueryMessage | "close") => {
    await opened;
    if (message === "close") {
      await db.close();
      port.close();
      return;
    }
    try {
      const { rows, affectedRows } = await db.query(message.sql, message.params, {
        rowMode: message.rowMode,
        parsers,
        ...(message.blob !== undefined && { blob: new Blob([message.blob]) }),
      });
      port.postMessage({ id: message.id, rows, affectedRows } satisfies ThreadReply);
    } catch (error) {
      port.postMessage(failure(message.id, error));
    }
  });
}

/** What the database's file system says without a word, by WASI's numbers. */
const SYSTEM_ERRORS: Record<number, string> = {
  2: "permission denied",
  29: "input/output error",
  51: "no space left on device",
  63: "operation not permitted",
  69: "read-only file system",
};

function failure(id: number, error: unknown): ThreadReply {
  const { message, code, errno } = error as { message?: string; code?: string; errno?: number };
  const reason =
    message || (errno === undefined ? String(error) : (SYSTEM_ERRORS[errno] ?? `error ${errno}`));
  return { id, error: { message: reason, code } };
}

import { parentPort, workerData } from "node:worker_threads";
import { PGlite } from "@electric-sql/pglite";
import { startParams } from "../pglite-start.ts";

/** The embedded database in a thread of its own: PGlite runs a statement synchronously and cannot be interrupted. */

export interface PgliteWorkerData {
  dataDir: string;
  /** Beyond this, the output of one exchange is dropped; enough of it is passed on for the other side to notice. */
  maxOutputBytes: number;
}

export type ToPgliteWorker = { type: "exchange"; messages: Uint8Array } | { type: "close" };
export type FromPgliteWorker = { type: "output"; bytes: Uint8Array } | { type: "done" };

const port = parentPort!;
const { dataDir, maxOutputBytes } = workerData as PgliteWorkerData;
const database = PGlite.create({ dataDir, startParams });
const send = (message: FromPgliteWorker) => port.postMessage(message);

port.on("message", async (message: ToPgliteWorker) => {
  const db = await database;
  if (message.type === "close") {
    await db.close();
    port.close();
    return;
  }
  let outputBytes = 0;
  await db.execProtocolRawStream(message.messages, {
    onRawData(data) {
      if (outputBytes > maxOutputBytes) return;
      outputBytes += data.length;
      // A copy: the view is on the database's own memory.
      send({ type: "output", bytes: data.slice(0, maxOutputBytes + 1) });
    },
  });
  send({ type: "done" });
});

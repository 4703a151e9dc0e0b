import { connect, type Socket } from "node:net";
import { quantile } from "./measure.ts";

/**
 * `node open-load.ts <url> <connections> <ms> <requests per second>`: sends GET requests at the times when they are due, whether or not earlier
 * ones have been answered, each on a connection that is free. Time counts from when a request was due. A request that finds no free
 * connection waits for one; those that wait at the end were never sent. With a rate of 0, each connection sends when it has its answer.
 */

export interface OpenLoadResult {
  /** Answers by status; 0: the connection was lost. */
  answers: Record<string, number>;
  perSecond: number;
  medianMs: number;
  p99Ms: number;
  /** Sent, and not answered within 10 s of the end. */
  hung: number;
  unsent: number;
}

const [target, connections, durationMs, rateText] = process.argv.slice(2) as [string, string, string, string];
const rate = Number(rateText);
const { hostname, port, host, pathname } = new URL(target);
const request = Buffer.from(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
const free: Client[] = [];
/** When those that wait for a connection were due; the first ones are gone up to `next`. */
const due: number[] = [];
let next = 0;
const latencies: number[] = [];
const answers: Record<string, number> = {};
let underWay = 0;

class Client {
  #socket: Socket | undefined;
  #received = "";
  #dueAt = 0;

  send(dueAt: number): void {
    this.#dueAt = dueAt;
    underWay++;
    this.#socket ??= this.#open();
    this.#socket.write(request);
  }

  #open(): Socket {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#socket = undefined;
      if (this.#dueAt > 0) this.#settle("0");
    });
    return socket;
  }

  #receive(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#received)?.[1] ?? 0);
    if (this.#received.length < headEnd + 4 + length) return;
    const status = this.#received.slice(9, 12);
    this.#received = "";
    if (status === "200") latencies.push(performance.now() - this.#dueAt);
    this.#settle(status);
  }

  #settle(status: string): void {
    answers[status] = (answers[status] ?? 0) + 1;
    this.#dueAt = 0;
    underWay--;
    const now = performance.now();
    if (now >= end) return;
    if (rate === 0) this.send(now);
    else if (next < due.length) this.send(due[next++]!);
    else free.push(this);
  }
}

const began = performance.now();
const end = began + Number(durationMs);
for (let i = 0; i < Number(connections); i++) {
  const client = new Client();
  if (rate === 0) client.send(began);
  else free.push(client);
}
let scheduled = 0;
while (performance.now() < end) {
  const now = performance.now();
  const target = Math.floor(((now - began) / 1e3) * rate);
  for (; scheduled < target; scheduled++) {
    const dueAt = began + (scheduled / rate) * 1e3;
    const client = free.pop();
    if (client) client.send(dueAt);
    else due.push(dueAt);
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
const seconds = (performance.now() - began) / 1e3;
const perSecond = (answers["200"] ?? 0) / seconds;
const unsent = due.length - next;
for (const deadline = performance.now() + 10_000; underWay > 0 && performance.now() < deadline; ) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
const sorted = Float64Array.from(latencies).sort();
const result: OpenLoadResult = {
  answers,
  perSecond,
  medianMs: quantile(sorted, 0.5),
  p99Ms: quantile(sorted, 0.99),
  hung: underWay,
  unsent,
};
console.log(JSON.stringify(result));
process.exit(0);

import { connect } from "node:net";
import { quantile } from "./measure.ts";

/** `node http-load.ts <method> <body> <connections> <ms> <url>…`: the same request over and over, one at a time on each connection. */

export interface LoadResult {
  perSecond: number;
  medianMs: number;
  p99Ms: number;
}

const [method, body, connections, durationMs, ...targets] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  ...string[],
];
const hasBody = method === "POST";
const latencies: number[] = [];
const began = performance.now();
const end = began + Number(durationMs);

/**
 * Plain sockets and the least of HTTP that is needed: a full client would take more of the machine than the servers that it
 * is to measure.
 */
function client(target: string): Promise<void> {
  const { hostname, port, host, pathname } = new URL(target);
  const length = hasBody
    ? `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
    : "";
  const request = Buffer.from(
    `${method} ${pathname} HTTP/1.1\r\nHost: ${host}\r\n${length}\r\n${hasBody ? body : ""}`,
  );
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    let received = "";
    let sentAt = 0;
    const send = () => {
      sentAt = performance.now();
      socket.write(request);
    };
    socket.setEncoding("latin1");
    socket.on("connect", send);
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the server closed a connection")));
    socket.on("data", (text: string) => {
      received += text;
      const headEnd = received.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(received)?.[1];
      if (!received.startsWith("HTTP/1.1 200 ") || length === undefined) {
        reject(new Error(`unexpected response: ${received}`));
        return;
      }
      if (received.length < headEnd + 4 + Number(length)) return;
      received = "";
      const now = performance.now();
      latencies.push(now - sentAt);
      if (now < end) send();
      else {
        resolve();
        socket.destroy();
      }
    });
  });
}

await Promise.all(
  Array.from({ length: Number(connections) }, (_, i) => client(targets[i % targets.length]!)),
);
const seconds = (performance.now() - began) / 1e3;
const sorted = Float64Array.from(latencies).sort();
const result: LoadResult = {
  perSecond: sorted.length / seconds,
  medianMs: quantile(sorted, 0.5),
  p99Ms: quantile(sorted, 0.99),
};
console.log(JSON.stringify(result));

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { runInThisContext } from "node:vm";

/**
 * `node edge-peer.ts <kind> <script>`: an HTTP server that answers with what a script's function makes of the body, in a sandbox of
 * another kind, or in none.
 */
const [kind, script] = process.argv.slice(2) as [string, string];

type Answer = (body: string) => string | Promise<string>;

async function answerOf(): Promise<Answer> {
  if (kind === "quickjs") {
    const { runInNewQuickJs } = await import("./quickjs-emscripten.ts");
    return (body) => runInNewQuickJs(script, body);
  }
  if (kind === "isolated-vm") {
    const { VmIsolate } = await import("./isolated-vm.ts");
    const isolate = new VmIsolate(script);
    return (body) => isolate.runInNewContext(body);
  }
  return runInThisContext(script) as Answer;
}

const answer = await answerOf();
const server = createServer(async (incoming, outgoing) => {
  let body = "";
  for await (const chunk of incoming) body += chunk;
  const text = await answer(body);
  outgoing
    .writeHead(200, ["content-type", "application/json", "content-length", `${Buffer.byteLength(text)}`])
    .end(text);
});
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }));
});
process.once("SIGTERM", () => process.exit());

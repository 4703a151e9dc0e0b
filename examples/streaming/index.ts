export const config = { timeoutMs: 5000, database: false };

const encoder = new TextEncoder();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A stream that asks for the next chunk when its reader is ready for it, and ends the generator when the reader leaves. */
function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
}

/** Server-sent events: `count` ticks, `everyMs` apart, until the client leaves. */
function ticks(count: number, everyMs: number, signal: AbortSignal): Response {
  async function* events() {
    for (let n = 1; n <= count && !signal.aborted; n++) {
      yield encoder.encode(`event: tick\ndata: ${JSON.stringify({ n, of: count })}\n\n`);
      if (n < count) await sleep(everyMs);
    }
  }
  return new Response(streamOf(events()), {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

/** Lines of any length, of which only the one under way is held in memory. */
async function* lines(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest) yield rest;
}

/** Each line of the body, numbered, sent back as soon as it is there. */
function number(body: ReadableStream<Uint8Array<ArrayBuffer>>): Response {
  async function* numbered() {
    let n = 0;
    for await (const line of lines(body)) yield encoder.encode(`${JSON.stringify({ n: ++n, line })}\n`);
  }
  return new Response(streamOf(numbered()), { headers: { "content-type": "application/x-ndjson" } });
}

/** The body, compressed while it passes through. */
function compress(body: ReadableStream<Uint8Array<ArrayBuffer>>): Response {
  return new Response(body.pipeThrough(new CompressionStream("gzip")), {
    headers: { "content-type": "application/gzip" },
  });
}

const bounded = (text: string | null, fallback: number, most: number) =>
  Math.min(Math.max(1, Number(text ?? fallback) || fallback), most);

/** @function Bodies that come and go as streams. */
export default {
  fetch(request: Request): Response {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/ticks") {
      const count = bounded(searchParams.get("count"), 5, 100);
      return ticks(count, bounded(searchParams.get("everyMs"), 200, 1000), request.signal);
    }
    if (request.method === "POST" && request.body) {
      if (pathname === "/number") return number(request.body);
      if (pathname === "/compress") return compress(request.body);
    }
    return Response.json({ error: "there are GET /ticks, POST /number, POST /compress" }, { status: 404 });
  },
};

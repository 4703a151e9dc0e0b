export const config = { timeoutMs: 3000, egress: ["jsonplaceholder.typicode.com"] };

/** Below the function's own limit, so that there is time left to answer. */
const upstreamMs = 2000;

async function todo(id: string, signal: AbortSignal): Promise<Response> {
  const upstream = await fetch(`https://jsonplaceholder.typicode.com/todos/${id}`, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(upstreamMs)]),
  });
  if (!upstream.ok) return Response.json({ error: `the API answered ${upstream.status}` }, { status: 502 });
  return Response.json({ todo: await upstream.json() });
}

/** @function Reads from an external API. */
export default {
  async fetch(request: Request): Promise<Response> {
    const [, id] = /^\/todos\/(\d{1,6})$/.exec(new URL(request.url).pathname) ?? [];
    if (id === undefined) return Response.json({ error: "try /todos/1" }, { status: 404 });
    try {
      return await todo(id, request.signal);
    } catch (error) {
      console.warn("upstream failed", error);
      return Response.json({ error: "the API cannot be reached" }, { status: 502 });
    }
  },
};

export const config = { timeoutMs: 3000 };

/** Leaves the function time to answer before its own limit. */
const fetchTimeoutMs = 2000;

class UpstreamError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function getJson(url: URL, signal: AbortSignal): Promise<unknown> {
  const response = await fetch(url, { headers: { accept: "application/json" }, signal });
  if (!response.ok) throw new UpstreamError(502, `the API answered ${response.status}`);
  try {
    return await response.json();
  } catch {
    throw new UpstreamError(502, "the API's answer is not JSON");
  }
}

function toUpstreamError(error: unknown): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const { name, message, code } = error as Error & { code?: string };
  if (name === "TimeoutError")
    return new UpstreamError(504, `the API did not answer within ${fetchTimeoutMs} ms`);
  if (name === "AbortError") return new UpstreamError(499, "the client went away");
  return new UpstreamError(502, code ? `${message} (${code})` : message);
}

/** @function Reads a resource of an external API and answers with a summary. */
export default {
  async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url);
    const base = searchParams.get("base") ?? "https://jsonplaceholder.typicode.com";
    const path = searchParams.get("path") ?? "/todos/1";
    if (!URL.canParse(path, base))
      return Response.json({ ok: false, error: "base is not a URL" }, { status: 400 });

    const url = new URL(path, base);
    try {
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(fetchTimeoutMs)]);
      return Response.json({ ok: true, url: url.href, data: await getJson(url, signal) });
    } catch (error) {
      const { status, message } = toUpstreamError(error);
      console.warn("upstream failed", { url: url.href, status, message });
      return Response.json({ ok: false, url: url.href, error: message }, { status });
    }
  },
};

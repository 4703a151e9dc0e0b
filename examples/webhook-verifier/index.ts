export const config = { timeoutMs: 500, database: false, egress: [] };

/** Older or newer signatures are refused: a recorded request cannot be sent again later. */
const toleranceSeconds = 300;

const encoder = new TextEncoder();

class SignatureError extends Error {}

/** `t=<seconds since 1970>,v1=<hexadecimal HMAC>`, as several services send it. */
function parseHeader(header: string | null): { timestamp: number; signature: Uint8Array<ArrayBuffer> } {
  const parts = new Map(header?.split(",").map((part) => part.trim().split("=", 2) as [string, string]));
  const timestamp = Number(parts.get("t"));
  const hex = parts.get("v1") ?? "";
  if (!Number.isInteger(timestamp) || !/^[0-9a-f]{64}$/.test(hex)) {
    throw new SignatureError("the header webhook-signature is missing or malformed");
  }
  return { timestamp, signature: Uint8Array.fromHex(hex) };
}

/** Throws {@link SignatureError}. `verify` compares in time that tells nothing. */
async function check(body: string, header: string | null, secret: string): Promise<void> {
  const { timestamp, signature } = parseHeader(header);
  if (Math.abs(Date.now() / 1000 - timestamp) > toleranceSeconds) {
    throw new SignatureError("the signature is too old");
  }
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["verify"]);
  const signed = encoder.encode(`${timestamp}.${body}`);
  if (!(await crypto.subtle.verify("HMAC", key, signature, signed))) {
    throw new SignatureError("the signature does not match");
  }
}

/** @function Takes webhooks whose signature is right, and no others. */
export default {
  async fetch(request: Request, env: { WEBHOOK_SECRET?: string }): Promise<Response> {
    if (request.method !== "POST") return new Response(null, { status: 405, headers: { allow: "POST" } });
    if (!env.WEBHOOK_SECRET) return Response.json({ error: "WEBHOOK_SECRET is not set" }, { status: 503 });
    const body = await request.text();
    try {
      await check(body, request.headers.get("webhook-signature"), env.WEBHOOK_SECRET);
    } catch (error) {
      if (!(error instanceof SignatureError)) throw error;
      console.warn("refused", error.message);
      return Response.json({ error: error.message }, { status: 401 });
    }
    // Only now is the body worth reading.
    let event: { type?: unknown };
    try {
      event = JSON.parse(body);
    } catch {
      return Response.json({ error: "the body is not JSON" }, { status: 400 });
    }
    console.info("accepted", event.type);
    return Response.json({ accepted: event.type ?? null });
  },
};

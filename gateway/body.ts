import { HostError } from "../runtime/services.ts";
import { PlatformError } from "./errors.ts";
import type { RequestScope } from "./request-scope.ts";

const EMPTY = new Uint8Array(0);

/** A body of at most this length, when it is announced, is read before the function is called: that is cheaper. */
export const WHOLE_BODY_BYTES = 64 * 1024;

/** A body that is read as it is wanted. When more than `limitBytes` come, the scope ends with `payload_too_large`. */
export function countedBody(
  body: ReadableStream<Uint8Array>,
  limitBytes: number,
  scope: RequestScope,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let total = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          total += value.byteLength;
          if (total > limitBytes) scope.end(tooLarge(limitBytes));
          controller.enqueue(value);
        } catch (cause) {
          throw new HostError("body_aborted", "The request body broke off", { name: "TypeError", cause });
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** A request's body, whole. Throws `payload_too_large` as soon as it is known to be over `limitBytes`, and `invalid_input` when it breaks off. */
export async function readBody(request: Request, limitBytes: number): Promise<Uint8Array> {
  if (request.method === "GET" || request.method === "HEAD") return EMPTY;
  const length = request.headers.get("content-length");
  if (length === null && !request.headers.has("transfer-encoding")) return EMPTY;
  if (length !== null && Number(length) > limitBytes) throw tooLarge(limitBytes);
  try {
    return length === null ? await readCounted(request, limitBytes) : await readAnnounced(request);
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw new PlatformError("invalid_input", "The request body could not be read", { cause: error });
  }
}

const readAnnounced = async (request: Request) => new Uint8Array(await request.arrayBuffer());

async function readCounted(request: Request, limitBytes: number): Promise<Uint8Array> {
  if (!request.body) return EMPTY;
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of request.body) {
    total += chunk.byteLength;
    if (total > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total);
}

function tooLarge(limitBytes: number): PlatformError {
  return new PlatformError("payload_too_large", `The request body is over the limit of ${limitBytes} bytes`);
}

import { HostError } from "../runtime/services.ts";
import { PlatformError } from "./errors.ts";
import type { RequestScope } from "./request-scope.ts";

const EMPTY = new Uint8Array(0);

/** A body of at most this length, when it is announced, is read before the function is called: that is cheaper. */
const WHOLE_BODY_BYTES = 64 * 1024;

/**
 * A request's body as the function gets it: whole when it is short, else a stream, which is read as the function reads it. When more than
 * `limitBytes` come, the scope ends with `payload_too_large`. Throws what {@link readBody} throws.
 */
export async function requestBody(
  request: Request,
  limitBytes: number,
  scope: RequestScope,
): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  const length = request.headers.get("content-length");
  const short = length !== null && (Number(length) <= WHOLE_BODY_BYTES || Number(length) > limitBytes);
  if (short || request.method === "GET" || request.method === "HEAD")
    return readBody(request, limitBytes, scope.signal);
  if ((length === null && !request.headers.has("transfer-encoding")) || !request.body) return EMPTY;
  return counted(request.body, limitBytes, scope);
}

function counted(
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

/**
 * A request's body, whole. Throws `payload_too_large` as soon as it is known to be over `limitBytes`, and `invalid_input`
 * when it breaks off; `signal` ends the wait for it.
 */
export async function readBody(
  request: Request,
  limitBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (request.method === "GET" || request.method === "HEAD") return EMPTY;
  const length = request.headers.get("content-length");
  if (length === null && !request.headers.has("transfer-encoding")) return EMPTY;
  if (length !== null && Number(length) > limitBytes) throw tooLarge(limitBytes);
  const reading =
    length === null ? readCounted(request, limitBytes, signal) : request.arrayBuffer().then(asBytes);
  try {
    return signal ? await orAborted(reading, signal) : await reading;
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw new PlatformError("invalid_input", "The request body could not be read", { cause: error });
  }
}

const asBytes = (buffer: ArrayBuffer) => new Uint8Array(buffer);

async function readCounted(
  request: Request,
  limitBytes: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (!request.body) return EMPTY;
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of request.body) {
    if (signal?.aborted) break;
    total += chunk.byteLength;
    if (total > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total);
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new PlatformError("request_timeout", "The request body took too long"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function tooLarge(limitBytes: number): PlatformError {
  return new PlatformError("payload_too_large", `The request body is over the limit of ${limitBytes} bytes`);
}

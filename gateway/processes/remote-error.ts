import { z } from "zod";
import { HostError } from "../../runtime/services.ts";
import { codeOf, type ErrorCode, PlatformError, STATUS_OF_CODE } from "../errors.ts";
import { ListenError } from "../listen.ts";

/** An error on its way to another process: what its receiver needs to know it again. Causes stay where they are. */
export const wireErrorSchema = z.strictObject({
  kind: z.enum(["platform", "host", "listen", "other"]),
  name: z.string().max(300),
  code: z.string().max(300).optional(),
  message: z.string().max(100_000),
  retryAfterSeconds: z.int().optional(),
});

export type WireError = z.infer<typeof wireErrorSchema>;

/** An error of a class that only the other process has. */
export class RemoteError extends Error {
  readonly code: string | undefined;
  constructor({ name, code, message }: WireError) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

export function encodeError(error: unknown): WireError {
  if (!(error instanceof Error)) return { kind: "other", name: "Error", message: String(error) };
  const { name, message } = error;
  const code = codeOf(error);
  const common = { name, message, ...(code !== undefined && { code }) };
  if (error instanceof PlatformError) {
    const { retryAfterSeconds } = error;
    return { kind: "platform", ...common, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) };
  }
  if (error instanceof HostError) return { kind: "host", ...common };
  if (error instanceof ListenError) return { kind: "listen", ...common };
  return { kind: "other", ...common };
}

export function decodeError(wire: WireError): Error {
  const { kind, name, code = "", message, retryAfterSeconds } = wire;
  if (kind === "platform" && Object.hasOwn(STATUS_OF_CODE, code)) {
    return new PlatformError(
      code as ErrorCode,
      message,
      retryAfterSeconds === undefined ? {} : { retryAfterSeconds },
    );
  }
  if (kind === "host") return new HostError(code, message, { name });
  if (kind === "listen" && (code === "port_in_use" || code === "listen_failed")) {
    return new ListenError(code, message, undefined);
  }
  return new RemoteError(wire);
}

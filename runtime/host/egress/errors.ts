import { HostError } from "../../services.ts";

export type EgressErrorCode =
  /** The address, port, scheme or header is not allowed. */
  | "egress_denied"
  | "egress_dns"
  | "egress_connect"
  | "egress_timeout"
  | "egress_too_large"
  | "egress_redirects"
  /** What was asked, or what the server answered, is no proper HTTP. */
  | "egress_protocol"
  | "egress_aborted";

/** `name` is TypeError where `fetch` would reject with one. */
export function egressError(code: EgressErrorCode, message: string, cause?: unknown): HostError {
  const name =
    code === "egress_aborted" ? "AbortError" : code === "egress_timeout" ? "TimeoutError" : "TypeError";
  return new HostError(code, message, { name, cause });
}

export const isTimeout = (signal: AbortSignal): boolean =>
  (signal.reason as { name?: string } | undefined)?.name === "TimeoutError";

export function abortError(signal: AbortSignal, host: string): HostError {
  return isTimeout(signal)
    ? egressError("egress_timeout", `the request to ${host} timed out`)
    : egressError("egress_aborted", `the request to ${host} was aborted`);
}

/** The error of a request to `host` that failed below us. Its message names no address; the cause may. */
export function fromTransport(error: unknown, host: string, signal: AbortSignal): HostError {
  if (error instanceof HostError) return error;
  if (signal.aborted) return abortError(signal, host);
  const code = String((error as { code?: unknown } | null)?.code ?? "");
  switch (code) {
    case "UND_ERR_CONNECT_TIMEOUT":
    case "ETIMEDOUT":
      return egressError("egress_timeout", `connecting to ${host} timed out`, error);
    case "UND_ERR_HEADERS_TIMEOUT":
    case "UND_ERR_BODY_TIMEOUT":
      return egressError("egress_timeout", `${host} did not answer in time`, error);
    case "UND_ERR_HEADERS_OVERFLOW":
    case "HPE_HEADER_OVERFLOW":
      return egressError("egress_too_large", `the headers of the answer from ${host} are too large`, error);
    case "ECONNREFUSED":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EADDRNOTAVAIL":
      return egressError("egress_connect", `could not connect to ${host}`, error);
  }
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_)/.test(code))
    return egressError("egress_connect", `no secure connection to ${host}: ${code}`, error);
  return egressError("egress_protocol", `the connection to ${host} failed`, error);
}

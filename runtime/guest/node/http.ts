import { nodeError } from "./errors.ts";
import { Agent, ClientRequest, get, globalAgent, request } from "./http-client.ts";
import { METHODS, STATUS_CODES } from "./http-constants.ts";
import { IncomingMessage, OutgoingMessage, ServerResponse } from "./http-messages.ts";
import { createServer, Server } from "./http-server.ts";

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export function validateHeaderName(name: string): void {
  if (typeof name !== "string" || !token.test(name))
    throw nodeError(
      TypeError,
      "ERR_INVALID_HTTP_TOKEN",
      `Header name must be a valid HTTP token ["${name}"]`,
    );
}
export function validateHeaderValue(name: string, value: unknown): void {
  if (value === undefined)
    throw nodeError(
      TypeError,
      "ERR_HTTP_INVALID_HEADER_VALUE",
      `Invalid value "${value}" for header "${name}"`,
    );
  if (/[^\t\x20-\x7e\x80-\xff]/.test(`${value}`))
    throw nodeError(TypeError, "ERR_INVALID_CHAR", `Invalid character in header content ["${name}"]`);
}

export const maxHeaderSize = 16_384;
export const setMaxIdleHTTPParsers = (): void => {};

export {
  Agent,
  ClientRequest,
  createServer,
  get,
  globalAgent,
  IncomingMessage,
  METHODS,
  OutgoingMessage,
  request,
  Server,
  ServerResponse,
  STATUS_CODES,
};
export default {
  Agent,
  ClientRequest,
  IncomingMessage,
  METHODS,
  OutgoingMessage,
  STATUS_CODES,
  Server,
  ServerResponse,
  createServer,
  get,
  globalAgent,
  maxHeaderSize,
  request,
  setMaxIdleHTTPParsers,
  validateHeaderName,
  validateHeaderValue,
};

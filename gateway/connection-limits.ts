import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { overloaded, type PlatformError } from "./errors.ts";
import { refuseConnection } from "./raw-answer.ts";

export interface ConnectionLimitOptions {
  /** Connections at once; more are answered with `overloaded`. */
  maxConnections: number;
  /** Requests of one connection that are answered at the same time; more than that in a row are refused with `overloaded`. */
  maxPipelined: number;
}

/** Bounds what one client can have a server do at once: connections, and requests that it sends without waiting for answers. */
export class ConnectionLimits {
  readonly #options: ConnectionLimitOptions;
  /** Requests under way by connection. */
  readonly #pipelines = new WeakMap<Socket, number>();
  #connections = 0;

  constructor(server: Server, options: ConnectionLimitOptions) {
    this.#options = options;
    server.on("connection", (socket: Socket) => {
      this.#connections++;
      socket.once("close", () => {
        this.#connections--;
      });
      if (this.#connections > options.maxConnections) {
        refuseConnection(socket, overloaded("There are too many connections"));
      }
    });
  }

  /** Notes a request that has come; the error when it is one too many. */
  note({ socket }: IncomingMessage, response: ServerResponse): PlatformError | undefined {
    const { maxPipelined } = this.#options;
    const underWay = (this.#pipelines.get(socket) ?? 0) + 1;
    this.#pipelines.set(socket, underWay);
    // What has been read may hold more; nothing further is read until there is room again.
    if (underWay === maxPipelined) socket.pause();
    response.once("close", () => {
      const left = this.#pipelines.get(socket)! - 1;
      this.#pipelines.set(socket, left);
      if (left === maxPipelined - 1) socket.resume();
    });
    if (underWay <= maxPipelined) return undefined;
    return overloaded("There are too many requests on this connection that wait for their answer");
  }
}

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

/** Requests under way, on their connection. */
const underWay = Symbol("requests under way");

interface CountedSocket extends Socket {
  [underWay]?: number;
}

/** Bounds what one client can have a server do at once: connections, and requests that it sends without waiting for answers. */
export class ConnectionLimits {
  readonly #options: ConnectionLimitOptions;
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
  note(request: IncomingMessage, response: ServerResponse): PlatformError | undefined {
    const { maxPipelined } = this.#options;
    const socket = request.socket as CountedSocket;
    const count = (socket[underWay] ?? 0) + 1;
    socket[underWay] = count;
    // What has been read may hold more; nothing further is read until there is room again.
    if (count === maxPipelined) socket.pause();
    response.once("close", () => {
      const left = socket[underWay]! - 1;
      socket[underWay] = left;
      if (left === maxPipelined - 1) socket.resume();
    });
    return count <= maxPipelined ? undefined : tooManyInARow;
  }
}

const tooManyInARow = overloaded("There are too many requests on this connection that wait for their answer");

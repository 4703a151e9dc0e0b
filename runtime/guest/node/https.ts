import { Agent, get as getPlain, globalAgent, request as requestPlain } from "./http-client.ts";
import { createServer, Server } from "./http-server.ts";

type Arguments = Parameters<typeof requestPlain>;

/** What does not say so itself goes over TLS; certificates are the host's business. */
function secure([first, ...rest]: Arguments): Arguments {
  const named = typeof first === "string" || first instanceof URL;
  return named ? [first, ...rest] : [{ protocol: "https:", ...first }, ...rest];
}

export const request = (...args: Arguments) => requestPlain(...secure(args));
export const get = (...args: Arguments) => getPlain(...secure(args));
export { Agent, createServer, globalAgent, Server };
export default { Agent, createServer, get, globalAgent, request, Server };

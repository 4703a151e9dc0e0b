import { unsupported } from "./errors.ts";

const part = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const v4 = `(?:${part}\\.){3}${part}`;
const isV4 = new RegExp(`^${v4}$`);
const group = "[0-9a-fA-F]{1,4}";
const isGroup = new RegExp(`^${group}$`);

export const isIPv4 = (text: string): boolean => isV4.test(text);

/** RFC 4291, section 2.2; a zone may follow. */
export function isIPv6(text: string): boolean {
  const [address = "", zone] = `${text}`.split("%");
  if (zone === "" || !address.includes(":") || address.includes(":::")) return false;
  const halves = address.split("::");
  if (halves.length > 2) return false;
  const parts = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const last = parts.at(-1) ?? "";
  const groups = isV4.test(last) ? [...parts.slice(0, -1), "0", "0"] : parts;
  return (
    groups.every((each) => isGroup.test(each)) &&
    (halves.length === 2 ? groups.length < 8 : groups.length === 8)
  );
}

export const isIP = (text: string): 0 | 4 | 6 => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);

// There are no sockets.
export const connect = unsupported("net", "connect");
export const createConnection = unsupported("net", "createConnection");
export const createServer = unsupported("net", "createServer");
function refusing(member: string) {
  const refuse = unsupported("net", member);
  return class {
    constructor() {
      refuse();
    }
  };
}
export const Socket = refusing("Socket");
export const Stream = Socket;
export const Server = refusing("Server");
export const BlockList = refusing("BlockList");
export const SocketAddress = refusing("SocketAddress");
export const getDefaultAutoSelectFamily = (): boolean => true;
export const setDefaultAutoSelectFamily = (): void => {};

export default {
  BlockList,
  Server,
  Socket,
  SocketAddress,
  Stream,
  connect,
  createConnection,
  createServer,
  getDefaultAutoSelectFamily,
  isIP,
  isIPv4,
  isIPv6,
  setDefaultAutoSelectFamily,
};

import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export type SslMode = "disable" | "prefer" | "require" | "verify-full";

export interface TcpTarget {
  host: string;
  port: number;
  /** As libpq has it: `require` encrypts without checking the certificate, `verify-full` checks it. */
  sslMode: SslMode;
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/**
 * A connected and, where wanted, encrypted socket. TLS is done here and not by the driver, so that whoever owns the
 * socket can count the plain bytes and destroy it.
 */
export async function openTcp(target: TcpTarget, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host: target.host, port: target.port, noDelay: true, keepAlive: true });
  const stop = () => socket.destroy(new Error("connection attempt abandoned"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (signal.aborted) stop();
    await event(socket, "connect");
    if (target.sslMode === "disable") return socket;
    return await encrypt(socket, target);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function encrypt(socket: Socket, target: TcpTarget): Promise<Socket> {
  socket.write(SSL_REQUEST);
  const answer = (await event(socket, "data")) as Buffer;
  socket.pause();
  // More than the one byte would be plain text injected before the handshake (CVE-2021-23222).
  if (answer.length !== 1) throw new Error("unexpected answer to the TLS request");
  if (answer[0] !== 0x53) {
    if (target.sslMode === "prefer") return socket;
    throw new Error("the server does not offer TLS");
  }
  const secure = connectTls({
    socket,
    rejectUnauthorized: target.sslMode === "verify-full",
    ...(isIP(target.host) ? {} : { servername: target.host }),
  });
  await event(secure, "secureConnect");
  return secure;
}

function event(socket: Socket, name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (done: (value: unknown) => void) => (value?: unknown) => {
      socket.off(name, onEvent).off("error", onError).off("close", onClose);
      done(value);
    };
    const onEvent = settle(resolve);
    const onError = settle(reject);
    const onClose = settle(() => reject(new Error("the connection was closed")));
    socket.once(name, onEvent).once("error", onError).once("close", onClose);
  });
}

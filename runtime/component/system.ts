import { randomFillSync } from "node:crypto";
import { InputStream, OutputStream, Pollable } from "./io.ts";
import type { World } from "./world.ts";

const msInNs = 1_000_000n;
/** Most random bytes of one call. */
const maxRandomBytes = 1024n * 1024n;
/** Longest timer, ms. */
const maxTimerMs = 0x7fff_ffff;

class TerminalInput {}
class TerminalOutput {}

/** `wasi:cli`: no terminal, no input; what is written goes to the log. */
export function cliImports(world: World) {
  const { env, functionName } = world.options;
  const noTerminal = () => undefined;
  return {
    "wasi:cli/environment": {
      getEnvironment: () => Object.entries(env),
      getArguments: () => [functionName],
      initialCwd: () => undefined,
    },
    "wasi:cli/exit": {
      exit: ({ tag }: { tag: string }) => world.exit(tag === "ok" ? 0 : 1),
      exitWithCode: (code: number) => world.exit(code),
    },
    "wasi:cli/stdin": { getStdin: () => new InputStream(world, new Uint8Array(0)), InputStream },
    "wasi:cli/stdout": {
      getStdout: () => new OutputStream(world, (bytes) => world.out.write(bytes)),
      OutputStream,
    },
    "wasi:cli/stderr": {
      getStderr: () => new OutputStream(world, (bytes) => world.err.write(bytes)),
      OutputStream,
    },
    "wasi:cli/terminal-input": { TerminalInput },
    "wasi:cli/terminal-output": { TerminalOutput },
    "wasi:cli/terminal-stdin": { getTerminalStdin: noTerminal, TerminalInput },
    "wasi:cli/terminal-stdout": { getTerminalStdout: noTerminal, TerminalOutput },
    "wasi:cli/terminal-stderr": { getTerminalStderr: noTerminal, TerminalOutput },
  };
}

/** `wasi:clocks`: they stand still while the component computes. */
export function clockImports(world: World) {
  const now = () => BigInt(world.uptime) * msInNs;
  /** Ready when so many ns have passed. */
  const timer = (duration: bigint): Pollable => {
    const due = now() + duration;
    const waits = () => {
      const ms = (due - now()) / msInNs + 1n;
      return new Promise((resolve) =>
        setTimeout(resolve, Number(ms < BigInt(maxTimerMs) ? ms : maxTimerMs)).unref(),
      );
    };
    return new Pollable(world, () => now() >= due, waits);
  };
  const wallClock = () => ({
    seconds: BigInt(Math.floor(world.now / 1_000)),
    nanoseconds: (world.now % 1_000) * 1_000_000,
  });
  return {
    "wasi:clocks/monotonic-clock": {
      now,
      resolution: () => msInNs,
      subscribeDuration: timer,
      subscribeInstant: (when: bigint) => timer(when > now() ? when - now() : 0n),
      Pollable,
    },
    "wasi:clocks/wall-clock": { now: wallClock, resolution: () => ({ seconds: 0n, nanoseconds: 1_000_000 }) },
    "wasi:clocks/timezone": {
      display: () => ({ utcOffset: 0, name: "UTC", inDaylightSavingTime: false }),
      utcOffset: () => 0,
    },
  };
}

/** `wasi:random`: what is called insecure is as good as the rest. */
export function randomImports(world: World) {
  const bytes = (length: bigint): Uint8Array => {
    if (length > maxRandomBytes) world.refuse(`${length} random bytes at once`);
    world.options.charge(Number(length));
    return randomFillSync(new Uint8Array(Number(length)));
  };
  const word = (): bigint => randomFillSync(new BigUint64Array(1))[0]!;
  return {
    "wasi:random/random": { getRandomBytes: bytes, getRandomU64: word },
    "wasi:random/insecure": { getInsecureRandomBytes: bytes, getInsecureRandomU64: word },
    "wasi:random/insecure-seed": { insecureSeed: () => [word(), word()] },
  };
}

/** An interface that is there and refuses everything: no folder was opened, so that there is nothing to be asked. */
function refusal(error: unknown): ProxyHandler<object> {
  const method = () => {
    throw error;
  };
  return {
    get: (target, name) =>
      Reflect.has(target, name) || typeof name === "symbol" ? Reflect.get(target, name) : method,
  };
}

function refusedClass(error: unknown) {
  class Refused {}
  Object.setPrototypeOf(Refused.prototype, new Proxy({}, refusal(error)));
  Object.setPrototypeOf(Refused, new Proxy(Function.prototype, refusal(error)));
  return Refused;
}

const fileClass = refusedClass("not-permitted");
const entriesClass = refusedClass("not-permitted");
const socketClass = refusedClass("access-denied");
const refuseSocket = () => {
  throw "access-denied";
};

/** `wasi:filesystem`, in which nothing is; `wasi:sockets`, which refuses. */
export const emptyImports = {
  "wasi:filesystem/preopens": { getDirectories: () => [], Descriptor: fileClass },
  "wasi:filesystem/types": {
    Descriptor: fileClass,
    DirectoryEntryStream: entriesClass,
    filesystemErrorCode: () => undefined,
  },
  "wasi:sockets/instance-network": { instanceNetwork: () => new socketClass(), Network: socketClass },
  "wasi:sockets/network": { Network: socketClass, networkErrorCode: () => undefined },
  "wasi:sockets/ip-name-lookup": { resolveAddresses: refuseSocket, ResolveAddressStream: socketClass },
  "wasi:sockets/tcp": { TcpSocket: socketClass },
  "wasi:sockets/tcp-create-socket": { createTcpSocket: refuseSocket, TcpSocket: socketClass },
  "wasi:sockets/udp": {
    UdpSocket: socketClass,
    IncomingDatagramStream: socketClass,
    OutgoingDatagramStream: socketClass,
  },
  "wasi:sockets/udp-create-socket": { createUdpSocket: refuseSocket, UdpSocket: socketClass },
};

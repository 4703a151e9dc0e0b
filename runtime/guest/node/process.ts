import { nodeError, unsupported } from "./errors.ts";
import { EventEmitter } from "./events.ts";
import { platform } from "./platform.ts";
import "./timers.ts";

/** The version of Node whose interfaces these modules follow. */
const version = "v24.0.0";

const process = platform.process as unknown as Record<string, unknown>;

const stream = (level: "log" | "error") => ({
  write(text: string | Uint8Array, encoding?: unknown, callback?: unknown): boolean {
    platform.console[level](
      typeof text === "string" ? text.replace(/\n$/, "") : new TextDecoder().decode(text).replace(/\n$/, ""),
    );
    const done = typeof encoding === "function" ? encoding : callback;
    if (typeof done === "function") queueMicrotask(done as () => void);
    return true;
  },
  isTTY: false,
  fd: level === "log" ? 1 : 2,
  writable: true,
  on: () => {},
  once: () => {},
  emit: () => false,
  removeListener: () => {},
  end: () => {},
});

function hrtime(since?: [number, number]): [number, number] {
  const nanoseconds = performance.now() * 1e6;
  const [seconds, rest] = [Math.floor(nanoseconds / 1e9), nanoseconds % 1e9];
  if (!since) return [seconds, rest];
  const difference = (seconds - since[0]) * 1e9 + rest - since[1];
  return [Math.floor(difference / 1e9), difference % 1e9];
}
hrtime.bigint = () => BigInt(Math.round(performance.now() * 1e6));

function memoryUsage() {
  return { rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 };
}
memoryUsage.rss = () => 0;

/** There is no process to end. */
function exit(code?: number): never {
  throw nodeError(
    Error,
    "ERR_PROCESS_EXIT",
    `process.exit(${code ?? ""}) was called: a function ends when it has answered`,
  );
}

const emitter = Object.create(EventEmitter.prototype) as EventEmitter;
EventEmitter.call(emitter);
const members: Record<string, unknown> = {
  version,
  versions: { node: version.slice(1), v8: "0.0.0", modules: "0" },
  platform: "linux",
  title: "thimble",
  pid: 1,
  ppid: 0,
  argv: ["/usr/bin/node", "/app/index.js"],
  argv0: "node",
  execArgv: [],
  execPath: "/usr/bin/node",
  exitCode: undefined,
  features: {},
  config: { variables: {} },
  stdout: stream("log"),
  stderr: stream("error"),
  stdin: { isTTY: false, fd: 0 },
  cwd: () => "/app",
  chdir: unsupported("process", "chdir"),
  umask: () => 0o22,
  uptime: () => performance.now() / 1000,
  hrtime,
  memoryUsage,
  cpuUsage: () => ({ user: 0, system: 0 }),
  resourceUsage: () => ({}),
  getuid: () => 1000,
  geteuid: () => 1000,
  getgid: () => 1000,
  getegid: () => 1000,
  kill: unsupported("process", "kill"),
  abort: exit,
  exit,
  reallyExit: exit,
  binding: unsupported("process", "binding"),
  getBuiltinModule: () => undefined,
  setUncaughtExceptionCaptureCallback: () => {},
  hasUncaughtExceptionCaptureCallback: () => false,
};
for (const name of Object.keys(EventEmitter.prototype)) {
  const method = (emitter as unknown as Record<string, unknown>)[name];
  if (typeof method !== "function") continue;
  members[name] = (...args: unknown[]) => {
    const result = Reflect.apply(method, emitter, args);
    return result === emitter ? process : result;
  };
}
Object.assign(process, members);

export const {
  argv,
  argv0,
  arch,
  cwd,
  emitWarning,
  env,
  execArgv,
  execPath,
  nextTick,
  pid,
  ppid,
  release,
  stderr,
  stdin,
  stdout,
  title,
  umask,
  uptime,
  versions,
} = process as unknown as typeof globalThis.process;
const platformName = process.platform as string;

export { exit, hrtime, memoryUsage, platformName as platform, version };
export const {
  on,
  once,
  off,
  emit,
  addListener,
  removeListener,
  removeAllListeners,
  listeners,
  listenerCount,
} = members as unknown as typeof globalThis.process;
export default process as unknown as typeof globalThis.process;

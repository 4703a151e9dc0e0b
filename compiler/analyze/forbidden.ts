import type { RuleId } from "./rules.ts";
import { moduleReference, type Reference } from "./value.ts";

/** What a sandbox has not, under the rule that says so. */
type Danger = Extract<
  RuleId,
  | "process-execution"
  | "shell-command"
  | "raw-socket"
  | "native-code"
  | "worker-thread"
  | "dynamic-code"
  | "file-access"
>;

const list = (danger: Danger, names: string) => names.split(" ").map((name) => [name, danger] as const);

/** Modules of Node, Deno, Bun and Workers, and packages that are for nothing else. */
const MODULES = new Map<string, Danger>([
  ...list("process-execution", "child_process cluster execa cross-spawn node-pty nano-spawn tinyexec"),
  ...list("shell-command", "zx shelljs dax-sh"),
  ...list("raw-socket", "net tls dgram cloudflare:sockets"),
  ...list("worker-thread", "worker_threads piscina tinypool workerpool"),
  ...list("dynamic-code", "vm v8 inspector repl vm2 isolated-vm"),
  ...list(
    "native-code",
    "ffi bun:ffi bun:jsc wasi ffi-napi ref-napi koffi bindings node-gyp-build node-addon-api",
  ),
  ...list("native-code", "sharp canvas better-sqlite3 sqlite3 bcrypt argon2 re2 serialport usb"),
]);

/** Members of globals and modules, by the path of {@link Reference}. */
const MEMBERS = new Map<string, Danger>([
  ...list(
    "process-execution",
    "process.kill process.execve Deno.Command Deno.run Deno.kill Bun.spawn Bun.spawnSync",
  ),
  ...list("shell-command", "Bun.$"),
  ...list(
    "raw-socket",
    "Deno.connect Deno.connectTls Deno.startTls Deno.listen Deno.listenTls Deno.listenDatagram",
  ),
  ...list("raw-socket", "Bun.connect Bun.listen Bun.udpSocket"),
  ...list(
    "native-code",
    "process.binding process._linkedBinding process.dlopen Deno.dlopen Deno.UnsafePointer",
  ),
  ...list("native-code", "Deno.UnsafePointerView Deno.UnsafeCallback Deno.UnsafeFnPointer"),
  ...list("native-code", "Bun.dlopen Bun.ffi Bun.FFI Bun.CFunction Bun.JSCallback Bun.linkSymbols"),
  ...list("worker-thread", "Worker SharedWorker"),
  ...list("dynamic-code", "eval module._compile module#prototype._compile"),
]);

/** Names of such members, and of what a property descriptor holds one in. Others need not be looked at. */
const MEMBER_NAMES = new Set([
  "value",
  "get",
  ...[...MEMBERS.keys()].map((path) => path.replace(/^.*[.#]/, "")),
]);

export const mayReachDanger = (name: string): boolean => MEMBER_NAMES.has(name);

/** What loading a module by this name would reach. */
export function moduleDanger(specifier: string): Danger | undefined {
  if (/\.node$/.test(specifier)) return "native-code";
  const name = specifier.replace(/^node:/, "");
  return MODULES.get(name) ?? MODULES.get(name.split("/")[0]!);
}

/** As {@link moduleDanger}, for names that only `import()` and `require` take. */
export function loadedDanger(specifier: string): Danger | undefined {
  if (/^(?:data|blob|https?):/i.test(specifier)) return "dynamic-code";
  if (/^(?:file:|\/)/i.test(specifier)) return /\.node$/.test(specifier) ? "native-code" : "file-access";
  return moduleDanger(specifier);
}

export const memberDanger = ({ path }: Reference): Danger | undefined => MEMBERS.get(path);

/** What importing one name from a module reaches, where the module as a whole is allowed. */
export const importedDanger = (specifier: string, name: string) =>
  memberDanger(moduleReference(specifier, name));

const DEEDS: Record<Danger, string> = {
  "process-execution": "it starts or controls processes",
  "shell-command": "it runs shell commands",
  "raw-socket": "it opens raw sockets",
  "native-code": "it loads native code",
  "worker-thread": "it starts threads",
  "dynamic-code": "it runs code that is made at run time",
  "file-access": "it is a file outside of the function's folder",
};

export const mustNotBe = (what: string, done: "imported" | "used", danger: Danger) =>
  `${what} must not be ${done}: ${DEEDS[danger]}`;

import { preview1Module, preview1Names } from "../../runtime/wasi/preview1.ts";
import type { Finding, ModuleSummary, Stdio } from "../types.ts";
import type { FunctionType, Import, Module } from "../wasm/index.ts";
import { importCount } from "../wasm/index.ts";
import { partFinding } from "./findings.ts";
import type { ModuleEntry } from "./module-artifact.ts";

/** Export that a reactor is called by, once for each request. */
const handlerName = "handler";
const i32 = 0x7f;

/** What the analysis of a module came to. */
export interface Inspection {
  findings: Finding[];
  summary: ModuleSummary;
  entry: ModuleEntry;
  /** What the module is made for, where it does not say so itself. */
  stdio: Stdio;
}

/** Looks at a module's outside: what it imports, how it is entered, who made it. `file` is its name in findings. */
export function inspectModule(module: Module, file: string): Inspection {
  const findings = foreignFindings(module, file);
  for (const entry of module.imports) {
    if (entry.module === preview1Module) findings.push(...preview1Findings(module, entry, file));
  }
  findings.push(...memoryFindings(module, file));
  const entry = entryOf(module, file, findings);
  return { findings, summary: summaryOf(module), entry, stdio: isJavy(module) ? "json" : "http" };
}

const importHint = `A module may import the functions of ${preview1Module}, and nothing else.`;

/** Where imports that are refused come from, as the toolchains name them, and what to do about it. */
const originHints: [pattern: RegExp, hint: string][] = [
  [/^wasi:|^wasi_snapshot_preview2/, "This is a part of a component: deploy the component."],
  [/^wasi_unstable$/, "This is WASI before preview 1: build it anew with a toolchain of today."],
  [/^(?:gojs|go)$/, "It was built for JavaScript: use GOOS=wasip1 GOARCH=wasm."],
  [
    /^(?:wbg|__wbindgen\w*|\..*_bg\.js)$/,
    "wasm-bindgen made it for JavaScript: build it for the target wasm32-wasip1.",
  ],
  [
    /^(?:env|a)$/,
    "Link what defines these symbols, or build for WASI (wasm32-wasip1; Emscripten: -sSTANDALONE_WASM).",
  ],
];

/** One finding for each place that a module must not import from: hundreds that say the same are read by nobody. */
function foreignFindings({ imports }: Module, file: string): Finding[] {
  const byOrigin = Map.groupBy(imports, ({ module }) => module);
  byOrigin.delete(preview1Module);
  return [...byOrigin].map(([origin, entries]) => {
    const names = entries.map(({ name }) => JSON.stringify(name)).join(", ");
    const message =
      entries.length === 1
        ? `The import ${JSON.stringify(origin)} ${names} is not among those that a module may use`
        : `${entries.length} imports from ${JSON.stringify(origin)} are not among those that a module may use: ${names}`;
    const hint = originHints.find(([pattern]) => pattern.test(origin))?.[1];
    return partFinding(
      file,
      "forbidden-import",
      spellImport(entries[0]!),
      message.slice(0, 2_000),
      hint === undefined ? importHint : `${importHint} ${hint}`,
    );
  });
}

const spellImport = ({ module, name, kind }: Import) =>
  `(import ${JSON.stringify(module)} ${JSON.stringify(name)} (${kind}))`;

function preview1Findings(module: Module, entry: Import, file: string): Finding[] {
  const refused = (message: string) => [
    partFinding(file, "forbidden-import", spellImport(entry), message, importHint),
  ];
  const name = `${JSON.stringify(entry.module)} ${JSON.stringify(entry.name)}`;
  if (entry.kind !== "function")
    return refused(`The import ${name} must be a function, and is a ${entry.kind}`);
  if (!preview1Names.includes(entry.name))
    return refused(`WASI preview 1 has no function ${JSON.stringify(entry.name)}`);
  const wanted = preview1Types[entry.name]!;
  const type = module.types[entry.type];
  if (type && "params" in type && spell(type) === wanted) return [];
  return refused(`The import ${name} has another type than in WASI preview 1, where it is ${wanted}`);
}

const letters: Record<number, string> = { [i32]: "i32", 126: "i64", 125: "f32", 124: "f64" };
const spell = ({ params, results }: FunctionType) =>
  `(${params.map((type) => letters[type] ?? "?").join(" ")}) → (${results.map((type) => letters[type] ?? "?").join(" ")})`;

/** Parameters of each function of WASI preview 1: i for i32, I for i64 (wasi_snapshot_preview1.witx). All give an error number, but `proc_exit`. */
const signatures: Record<string, string> = {
  args_get: "ii",
  args_sizes_get: "ii",
  environ_get: "ii",
  environ_sizes_get: "ii",
  clock_res_get: "ii",
  clock_time_get: "iIi",
  fd_advise: "iIIi",
  fd_allocate: "iII",
  fd_close: "i",
  fd_datasync: "i",
  fd_fdstat_get: "ii",
  fd_fdstat_set_flags: "ii",
  fd_fdstat_set_rights: "iII",
  fd_filestat_get: "ii",
  fd_filestat_set_size: "iI",
  fd_filestat_set_times: "iIIi",
  fd_pread: "iiiIi",
  fd_prestat_get: "ii",
  fd_prestat_dir_name: "iii",
  fd_pwrite: "iiiIi",
  fd_read: "iiii",
  fd_readdir: "iiiIi",
  fd_renumber: "ii",
  fd_seek: "iIii",
  fd_sync: "i",
  fd_tell: "ii",
  fd_write: "iiii",
  path_create_directory: "iii",
  path_filestat_get: "iiiii",
  path_filestat_set_times: "iiiiIIi",
  path_link: "iiiiiii",
  path_open: "iiiiiIIii",
  path_readlink: "iiiiii",
  path_remove_directory: "iii",
  path_rename: "iiiiii",
  path_symlink: "iiiii",
  path_unlink_file: "iii",
  poll_oneoff: "iiii",
  proc_exit: "i",
  proc_raise: "i",
  sched_yield: "",
  random_get: "ii",
  sock_accept: "iii",
  sock_recv: "iiiiii",
  sock_send: "iiiii",
  sock_shutdown: "ii",
};

const preview1Types: Record<string, string> = Object.fromEntries(
  Object.entries(signatures).map(([name, params]) => {
    const types = [...params].map((letter) => (letter === "i" ? "i32" : "i64"));
    return [name, `(${types.join(" ")}) → (${name === "proc_exit" ? "" : "i32"})`];
  }),
);

function memoryFindings(module: Module, file: string): Finding[] {
  const exported = module.exports.find(({ name, kind }) => name === "memory" && kind === "memory");
  const memory = exported && module.memories[exported.index];
  if (memory && !memory.index64) return [];
  const hint = "Export the module's 32-bit memory under the name that WASI gives it.";
  return [
    partFinding(file, "module-invalid", '(export "memory")', 'The module exports no memory "memory"', hint),
  ];
}

function entryOf(module: Module, file: string, findings: Finding[]): ModuleEntry {
  const start = typeOfExport(module, "_start");
  const handler = typeOfExport(module, handlerName);
  const wrong = (name: string, expected: string): void => {
    const hint = `Make it a function of type ${expected}.`;
    findings.push(
      partFinding(
        file,
        "module-invalid",
        `(export "${name}")`,
        `The export "${name}" has the wrong type`,
        hint,
      ),
    );
  };
  if (start) {
    if (spell(start) !== "() → ()") wrong("_start", "() → ()");
    return "command";
  }
  if (!handler) {
    const message = 'The module exports neither "_start" nor "handler"';
    const hint =
      'Build it as a WASI command; or as a reactor with an export "handler", which is called for each request.';
    findings.push(partFinding(file, "module-invalid", "(export …)", message, hint));
    return "reactor";
  }
  if (!["() → ()", "() → (i32)"].includes(spell(handler))) wrong(handlerName, "() → () or () → (i32)");
  const initialize = typeOfExport(module, "_initialize");
  if (initialize && spell(initialize) !== "() → ()") wrong("_initialize", "() → ()");
  return "reactor";
}

function typeOfExport(module: Module, name: string): FunctionType | undefined {
  const found = module.exports.find((entry) => entry.name === name && entry.kind === "function");
  if (!found) return undefined;
  const imported = importCount(module, "function");
  const index =
    found.index < imported
      ? (module.imports.filter(({ kind }) => kind === "function")[found.index] as { type: number }).type
      : module.functions[found.index - imported]!.type;
  return module.types[index];
}

/** Javy leaves the source of its function, or asks for its engine. */
export function isJavy({ customs, imports }: Module): boolean {
  return (
    customs.some(({ name }) => name === "javy_source") || imports.some(({ module }) => isJavyPlugin(module))
  );
}

/** Module names under which Javy's dynamic modules import its engine: javy_quickjs_provider_v3, javy-default-plugin-v2. */
export const isJavyPlugin = (module: string): boolean =>
  /^javy[_-](?:quickjs[_-]provider|default[_-]plugin)/.test(module);

function summaryOf({ imports, exports, customs }: Module): ModuleSummary {
  return {
    kind: "module",
    imports: imports.map(({ module, name }) => `${module}.${name}`),
    exports: exports.map(({ name }) => name),
    sections: customs.map(({ name, bytes }) => ({ name, bytes: bytes.length })),
  };
}

import { customSections } from "../container.ts";
import { AnalysisError, CompileError } from "../errors.ts";
import type { Analysis, Finding, FunctionConfig, ModuleSummary } from "../types.ts";
import { meterBytes } from "../wasm/index.ts";
import { asCompileError, type ModuleInput, ownConfig } from "../wasm-module/build-module.ts";
import { partFinding } from "../wasm-module/findings.ts";
import {
  type ComponentArtifact,
  type ComponentEntry,
  encodeComponentArtifact,
} from "./component-artifact.ts";
import { isHarmlessName, readComponent } from "./component-names.ts";
import { checkedGlue, GlueError } from "./glue.ts";

/** Interfaces that a component may import: all of WASI 0.2 but sockets that could reach anything, and the project's own. */
const importable =
  /^(?:wasi:(?:cli|clocks|filesystem|http|io|random|sockets)\/[\w-]+@0\.2\.\d+|thimble:function\/(?:types|log|config|database|outgoing-http)@0\.1\.\d+)$/;
const entries: [ComponentEntry, RegExp][] = [
  ["wasi:http/incoming-handler", /^wasi:http\/incoming-handler@0\.2\.\d+$/],
  ["thimble:function/handler", /^thimble:function\/handler@0\.1\.\d+$/],
];
/** Functions of the host that may wait: the guest's stack is parked meanwhile. */
const asyncImports = [
  "wasi:io/poll#poll",
  "wasi:io/poll#[method]pollable.block",
  "wasi:io/streams#[method]input-stream.blocking-read",
  "wasi:io/streams#[method]input-stream.blocking-skip",
  "wasi:io/streams#[method]output-stream.blocking-flush",
  "wasi:io/streams#[method]output-stream.blocking-write-and-flush",
  "wasi:io/streams#[method]output-stream.blocking-write-zeroes-and-flush",
  "wasi:io/streams#[method]output-stream.blocking-splice",
  "thimble:function/database#query",
  "thimble:function/outgoing-http#send",
];

/**
 * Checks a component, has its core modules linked by code of jco's, checks that code, and meters the modules.
 *
 * @throws AnalysisError with every import that is not allowed, and whatever else is wrong with its outside; CompileError.
 */
export async function buildComponent(
  input: ModuleInput,
  engineHash: string,
): Promise<{ artifact: Uint8Array<ArrayBuffer>; analysis: Analysis }> {
  const { module: bytes, fileName = "component.wasm" } = input;
  if (Object.keys(input.files ?? {}).length > 0) throw new CompileError("a component has no files beside it");
  const { names } = asCompileError(() => readComponent(bytes));
  // before anything is transpiled: these names end up in code
  for (const name of names) {
    if (!isHarmlessName(name))
      throw new CompileError(`the component names a part ${JSON.stringify(name)}, which is not allowed`);
  }
  const world = await worldOf(bytes);
  const findings = world.imports.flatMap((name) => importFindings(name, fileName));
  const sections = customSections(bytes);
  const config: FunctionConfig = { ...ownConfig(sections, fileName, findings), ...input.config };
  const entry = entryOf(world.exports, fileName, findings);
  const summary: ModuleSummary = {
    kind: "component",
    imports: world.imports,
    exports: world.exports,
    sections: sections.map(([name, content]) => ({ name, bytes: content.length })),
  };
  const passed = !findings.some(({ severity }) => severity === "error");
  const analysis: Analysis = { passed, findings, config, module: summary };
  if (!passed || !entry) throw new AnalysisError(analysis);
  const { glue, cores } = await transpile(bytes);
  const [name, exportName] = entry;
  const manifest = { engine: engineHash, entry: name, exportName, config, analysis };
  return { artifact: encodeComponentArtifact({ manifest, glue, cores, original: bytes }), analysis };
}

/** The same component, made ready by this version. */
export function rebuildComponent({ original, manifest }: ComponentArtifact, engineHash: string) {
  return buildComponent({ module: original, config: manifest.config }, engineHash);
}

/** What the component imports and exports, by its own types. */
async function worldOf(bytes: Uint8Array): Promise<{ imports: string[]; exports: string[] }> {
  const { componentWit } = await import("@bytecodealliance/jco-transpile/wasm-tools");
  const wit = await componentWit(bytes).catch((cause: unknown) => {
    throw new CompileError(`the component is not valid: ${reason(cause)}`, { cause });
  });
  const world = /^world root \{\n([\s\S]*?)^\}/m.exec(wit)?.[1] ?? "";
  const named = (keyword: string) =>
    [...world.matchAll(new RegExp(`^  ${keyword} ([^\\s;]+?)(?:;|: )`, "gm"))].map((match) => match[1]!);
  return { imports: named("import"), exports: named("export") };
}

function importFindings(name: string, file: string): Finding[] {
  if (importable.test(name)) return [];
  const message = `The import ${JSON.stringify(name)} is not among those that a component may use`;
  const hint = "A component may import interfaces of WASI 0.2 and of thimble:function.";
  return [partFinding(file, "forbidden-import", `import ${name};`, message, hint)];
}

function entryOf(exports: string[], file: string, findings: Finding[]): [ComponentEntry, string] | undefined {
  for (const [entry, pattern] of entries) {
    const found = exports.find((name) => pattern.test(name));
    if (found !== undefined) return [entry, found];
  }
  const message = "The component exports neither wasi:http/incoming-handler nor thimble:function/handler";
  const hint = "Build it for the world wasi:http/proxy, or for thimble:function/function.";
  findings.push(partFinding(file, "module-invalid", "export …", message, hint));
  return undefined;
}

async function transpile(bytes: Uint8Array): Promise<Pick<ComponentArtifact, "glue" | "cores">> {
  const { transpileBytes } = await import("@bytecodealliance/jco-transpile");
  const { files } = await transpileBytes(bytes, {
    name: "component",
    instantiation: "async",
    asyncMode: "jspi",
    asyncImports,
    asyncExports: entries.map(([name]) => `${name}#handle`),
    multiMemory: true,
    emitTypescriptDeclarations: false,
    nodejsCompat: false,
    base64Cutoff: 0,
  }).catch((cause: unknown) => {
    throw new CompileError(`the component can't be used: ${reason(cause)}`, { cause });
  });
  const cores: ComponentArtifact["cores"] = Object.create(null);
  let glue = "";
  for (const [name, content] of Object.entries(files)) {
    if (name.endsWith(".wasm")) cores[name] = metered(content);
    else if (name.endsWith(".js")) glue = new TextDecoder().decode(content);
  }
  try {
    return { glue: checkedGlue(glue), cores };
  } catch (cause) {
    if (cause instanceof GlueError) throw new CompileError(cause.message, { cause });
    throw cause;
  }
}

function metered(core: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = asCompileError(() => meterBytes(core));
  try {
    new WebAssembly.Module(bytes);
  } catch (cause) {
    throw new CompileError("a core module of the component is not valid", { cause });
  }
  return bytes;
}

/** jco throws errors, and texts in a property. */
function reason(cause: unknown): string {
  const { payload, message } = cause as { payload?: unknown; message?: unknown };
  return String(payload ?? message ?? cause).slice(0, 1_000);
}

import { constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { compileFunction } from "node:vm";
import { exnref, Opcode, readModule } from "../../compiler/wasm/index.ts";
import { InstructionReader } from "../../compiler/wasm/instructions.ts";
import { randomNumbers } from "./random.ts";

/** What the modules may use, besides the MVP. */
const features = [
  "mutable-globals",
  "sign-ext",
  "nontrapping-float-to-int",
  "multivalue",
  "bulk-memory",
  "bulk-memory-opt",
  "reference-types",
  "simd",
  "tail-call",
  "exception-handling",
  "multimemory",
  "memory64",
  "extended-const",
];

const smallest = 200;
const largest = 6_000;

const oldExceptionHandling = new Set<number>([Opcode.try, Opcode.rethrow, Opcode.delegate]);

/** Whether a module uses old exception handling and also has values or instructions of the new one, which no engine takes. */
function mixesExceptionHandling(bytes: Uint8Array): boolean {
  let old = false;
  let recent = false;
  try {
    const { types, functions, globals, tables } = readModule(bytes);
    recent =
      types.some(({ params, results }) => [...params, ...results].includes(exnref)) ||
      globals.some(({ type }) => type === exnref) ||
      tables.some(({ element }) => element === exnref);
    for (const { code, locals } of functions) {
      recent ||= locals.some(([, type]) => type === exnref);
      for (const reader = new InstructionReader(code); reader.next(); ) {
        const { op } = reader;
        old ||= oldExceptionHandling.has(op);
        recent ||= op === Opcode.tryTable || op === Opcode.throwRef;
        // null references and blocks have their type at the end
        recent ||= code[reader.end - 1] === exnref;
      }
    }
  } catch {
    // instructions that are not metered
  }
  return old && recent;
}

type Emscripten = (
  Module: object,
  require: NodeJS.Require,
  process: object,
  WebAssembly: object,
  ...commonJs: unknown[]
) => void;

/**
 * Makes modules from seeds with Binaryen's `wasm-opt --translate-to-fuzz`. The tool is a WebAssembly module in a script that is
 * meant to run once; here its code is compiled once, and each module takes a fresh instance of it.
 */
export class Generator {
  readonly #directory: string;
  readonly #require = createRequire(import.meta.url);
  readonly #script: Emscripten;
  #tool: Promise<WebAssembly.Module> | undefined;

  /** @param directory Where its files are, until it is closed. */
  constructor(directory = mkdtempSync(join(tmpdir(), "wasm-fuzz-"))) {
    this.#directory = directory;
    const file = join(this.#require.resolve("binaryen"), "../bin/wasm-opt");
    const text = readFileSync(file, "utf8").replace(/^#!.*/, "");
    this.#script = compileFunction(text, [
      "Module",
      "require",
      "process",
      "WebAssembly",
      "__dirname",
      "__filename",
      "module",
    ]) as Emscripten;
  }

  async generate(seed: number): Promise<Uint8Array<ArrayBuffer>> {
    const next = randomNumbers(seed);
    const input = new Uint8Array(smallest + (next() % (largest - smallest)));
    for (let i = 0; i < input.length; i++) input[i] = next();
    const from = join(this.#directory, "input");
    const to = join(this.#directory, "output.wasm");
    writeFileSync(from, input);
    const args = [
      ...["--quiet", "--translate-to-fuzz", from, "-o", to],
      ...features.map((name) => `--enable-${name}`),
      ...(next() % 4 === 0 ? ["--disable-memory64"] : []),
      // some go through optimizations, for code as compilers leave it
      ...(next() % 4 === 0 ? ["-O1"] : []),
    ];
    await this.#run(args);
    let bytes = new Uint8Array(readFileSync(to));
    if (mixesExceptionHandling(bytes)) {
      await this.#run([...args, "--emit-exnref"]);
      bytes = new Uint8Array(readFileSync(to));
    }
    return bytes;
  }

  close(): void {
    rmSync(this.#directory, { recursive: true });
  }

  #run(args: string[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // not the real one, whose exit status it sets
    const { argv, versions, platform, stdin, stdout, stderr } = process;
    const asProcess = {
      ...{ argv, versions, platform, stdin, stdout, stderr, exitCode: 0 },
      binding: () => ({ fs: constants }),
      cwd: () => this.#directory,
    };
    const options = {
      arguments: [...args],
      stdout: () => {},
      stderr: () => {},
      postRun: () => (asProcess.exitCode === 0 ? resolve() : reject(new Error("wasm-opt failed"))),
      onAbort: (what: unknown) => reject(new Error(`wasm-opt: ${what}`)),
      ...(this.#tool ? { instantiateWasm: this.#instantiate } : {}),
    };
    this.#script(options, this.#require, asProcess, this.#webAssembly, this.#directory, "", undefined);
    return promise;
  }

  readonly #instantiate = async (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance) => void,
  ): Promise<void> => done(await WebAssembly.instantiate(await this.#tool!, imports));

  readonly #webAssembly = {
    ...Object.fromEntries(
      Object.getOwnPropertyNames(WebAssembly).map((name) => [name, Reflect.get(WebAssembly, name)]),
    ),
    instantiate: async (binary: BufferSource, imports: WebAssembly.Imports) => {
      this.#tool ??= WebAssembly.compile(binary);
      return { instance: await WebAssembly.instantiate(await this.#tool, imports) };
    },
  };
}

import { fileURLToPath } from "node:url";
import { bundle } from "../../compiler/bundle.ts";
import type { Broker } from "../../gateway/broker/broker.ts";
import type { InvocationResult, Program, RuntimeOptions } from "../../runtime/index.ts";
import { artifactOf, type Bench, compiler, type RunOptions, sandboxes, text } from "./sandbox.ts";

/** Functions in sandboxes whose queries go to a broker. */
export class DatabaseFunctions {
  readonly #bench: Bench;
  readonly #broker: Broker;

  constructor(broker: Broker, options?: RuntimeOptions) {
    this.#bench = sandboxes(options);
    this.#broker = broker;
  }

  /** A function of test/fixtures/database or examples, with its packages. */
  async folder(path: string): Promise<Program> {
    const root = fileURLToPath(new URL(`../../${path}`, import.meta.url));
    const { files, bundle: made } = await bundle(root, "index.ts");
    const sources = { entry: "index.ts", files };
    const { artifact } = await compiler.build({ sources, bundle: made, requireAnnotation: false });
    return this.#bench.runtime.load(artifact);
  }

  /** A function whose default export runs this with `sql`. */
  async body(code: string): Promise<Program> {
    const source = `import { sql } from "thimble:db";\nexport default async (request, context) => { ${code} };`;
    return this.#bench.runtime.load(await artifactOf(source));
  }

  run(
    program: Program,
    options: RunOptions & { name?: string; access?: "read" | "write" } = {},
  ): Promise<InvocationResult> {
    const { name = "test", access = "write", ...rest } = options;
    const openDatabase = () => this.#broker.openSession({ functionName: name, access });
    return this.#bench.run(program, { ...rest, services: { openDatabase } });
  }

  /** What it answered, as JSON. */
  async json(program: Program, path = "", options: Parameters<this["run"]>[1] = {}) {
    const result = await this.run(program, { request: { url: `http://localhost/${path}` }, ...options });
    return JSON.parse(text(result));
  }

  close(): Promise<void> {
    return this.#bench.runtime.close();
  }
}

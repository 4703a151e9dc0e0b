import type { ArtifactSource, Compiler } from "./ports.ts";
import type { FunctionStore } from "./store/functions.ts";

/** Artefacts from the store. */
export class StoredArtifacts implements ArtifactSource {
  readonly #functions: Pick<FunctionStore, "artifact" | "replaceArtifact">;
  readonly #compiler: Pick<Compiler, "rebuild">;
  /** Under way, so that several who ask for the same share one build. */
  readonly #rebuilding = new Map<string, Promise<Uint8Array | undefined>>();

  constructor(
    functions: Pick<FunctionStore, "artifact" | "replaceArtifact">,
    compiler: Pick<Compiler, "rebuild">,
  ) {
    this.#functions = functions;
    this.#compiler = compiler;
  }

  artifact(functionId: string, version: number): Promise<Uint8Array | undefined> {
    return this.#functions.artifact(functionId, version);
  }

  rebuilt(functionId: string, version: number): Promise<Uint8Array | undefined> {
    const key = `${functionId} ${version}`;
    const underWay = this.#rebuilding.get(key);
    if (underWay) return underWay;
    const rebuilding = this.#rebuild(functionId, version).finally(() => this.#rebuilding.delete(key));
    this.#rebuilding.set(key, rebuilding);
    return rebuilding;
  }

  async #rebuild(functionId: string, version: number): Promise<Uint8Array | undefined> {
    const artifact = await this.artifact(functionId, version);
    if (!artifact) return undefined;
    const rebuilt = await this.#compiler.rebuild(artifact);
    await this.#functions.replaceArtifact(functionId, version, rebuilt);
    return rebuilt;
  }
}

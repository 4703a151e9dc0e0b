/** Bytes that are no artefact. */
export class ArtifactError extends Error {
  readonly code = "artifact_invalid";
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ArtifactError";
  }
}

/** What every kind of artefact keeps its manifest in. */
export const manifestSection = "thimble:manifest";

/** The custom sections of an artefact. */
export class ArtifactSections {
  readonly #sections: readonly (readonly [name: string, bytes: Uint8Array])[];

  constructor(sections: readonly (readonly [name: string, bytes: Uint8Array])[]) {
    this.#sections = sections;
  }

  /** @throws ArtifactError when there is no such section. */
  bytes(name: string): Uint8Array {
    const found = this.#sections.find(([known]) => known === name);
    if (!found) throw new ArtifactError(`not an artefact: it has no section ${name}`);
    return found[1];
  }

  /** @throws ArtifactError when there is no such section, TypeError when it is no UTF-8. */
  text(name: string): string {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes(name));
  }

  /** Sections whose names begin with `prefix`, by the rest of their names. */
  startingWith(prefix: string): Record<string, Uint8Array> {
    const found: Record<string, Uint8Array> = Object.create(null);
    for (const [name, bytes] of this.#sections)
      if (name.startsWith(prefix)) found[name.slice(prefix.length)] = bytes;
    return found;
  }

  /** @throws ArtifactError for another format than `format`. */
  manifest<Manifest extends { format: number }>(format: number): Manifest {
    const manifest: Manifest = JSON.parse(this.text(manifestSection));
    if (manifest.format !== format)
      throw new ArtifactError(`artefact format ${manifest.format} is not ${format}`);
    return manifest;
  }
}

/** What `read` returns. @throws ArtifactError whatever `read` throws. */
export function readingArtifact<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof ArtifactError) throw cause;
    throw new ArtifactError("not an artefact", { cause });
  }
}

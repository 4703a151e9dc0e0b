import { MeterExport } from "../compiler/wasm/index.ts";
import { RuntimeError } from "./errors.ts";
import { requireHostSupport } from "./host-support.ts";
import type { Difference, Image } from "./image.ts";
import { ImageStore } from "./image-store.ts";
import { Segments } from "./segments.ts";

/** Custom section of an engine module that holds its base image. */
export const baseImageSection = "thimble:base-image";

/** The word in the engine's memory that lets guest code be compiled: zero in every image. */
export interface Evaluator {
  address: number;
  value: number;
}

interface BaseImageHeader {
  hash: string;
  evaluator: Evaluator;
  start: number;
  pages: number;
  globals: { name: string; value: number | string }[];
  /** Lengths of the parts, which follow the image. */
  parts: number[];
  length: number;
}

/**
 * The compiled engine and its base image: a JavaScript engine in WebAssembly, metered, with the web platform evaluated into its
 * memory. One for each process; sandboxes are instances of it.
 */
export class Engine {
  readonly module: WebAssembly.Module;
  readonly base: Image;
  /** The base image as one that has no differences to it. */
  readonly plain: Difference;
  /** Base image and functions' images, where instances are restored from. */
  readonly images: ImageStore;
  /** Names of the exports that hold mutable state, in the order of {@link Image.globals}. */
  readonly globals: readonly string[];
  /** Hash of everything that images depend on: artefacts name it. */
  readonly hash: string;
  readonly evaluator: Evaluator;
  /** Bytecode of what the guest library loads when it is first used. */
  readonly parts: readonly Uint8Array[];

  private constructor(module: WebAssembly.Module, header: BaseImageHeader, bytes: Uint8Array) {
    this.module = module;
    this.parts = header.parts.map((length, i) => {
      const from = header.parts.slice(0, i).reduce((sum, other) => sum + other, header.length);
      return bytes.subarray(from, from + length);
    });
    this.base = {
      start: header.start,
      bytes: bytes.subarray(0, header.length),
      pages: header.pages,
      globals: header.globals.map(({ value }) => (typeof value === "string" ? BigInt(value) : value)),
    };
    const { pages, globals } = this.base;
    this.plain = { segments: new Segments([]), pages, globals };
    this.images = new ImageStore(this.base);
    this.globals = header.globals.map(({ name }) => name);
    this.hash = header.hash;
    this.evaluator = header.evaluator;
  }

  /** @throws RuntimeError `artifact_invalid` when the module holds no base image, `host_unsupported`. */
  static async compile(bytes: Uint8Array<ArrayBuffer>): Promise<Engine> {
    requireHostSupport();
    const module = await WebAssembly.compile(bytes);
    const [section] = WebAssembly.Module.customSections(module, baseImageSection);
    if (!section) throw new RuntimeError("artifact_invalid", "the engine module holds no base image");
    const headerLength = new DataView(section).getUint32(0, true);
    const header: BaseImageHeader = JSON.parse(
      new TextDecoder().decode(new Uint8Array(section, 4, headerLength)),
    );
    return new Engine(module, header, new Uint8Array(section, 4 + headerLength));
  }
}

/** Names of the globals that an image of this module must hold. */
export function stateGlobals(module: WebAssembly.Module): string[] {
  return WebAssembly.Module.exports(module)
    .map(({ name }) => name)
    .filter((name) => name.startsWith(MeterExport.global));
}

/** The content of {@link baseImageSection}. */
export function encodeBaseImage({
  hash,
  evaluator,
  globals,
  image,
  parts,
}: {
  hash: string;
  evaluator: Evaluator;
  globals: readonly string[];
  image: Image;
  parts: readonly Uint8Array[];
}): Uint8Array<ArrayBuffer> {
  const header: BaseImageHeader = {
    hash,
    evaluator,
    start: image.start,
    pages: image.pages,
    globals: globals.map((name, i) => {
      const value = image.globals[i]!;
      return { name, value: typeof value === "bigint" ? value.toString() : value };
    }),
    parts: parts.map(({ length }) => length),
    length: image.bytes.length,
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, text.length, true);
  return new Uint8Array(Buffer.concat([size, text, image.bytes, ...parts]));
}

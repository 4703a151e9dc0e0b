import { MeterExport, meterModule, WriteMap } from "../compiler/wasm/index.ts";
import type { Meters } from "./budget.ts";
import { GuestMessageError, readNumber } from "./guest-message.ts";
import { type Difference, type Image, pageSize } from "./image.ts";
import type { ImageStore, Placed } from "./image-store.ts";
import { Op } from "./protocol.ts";
import { type Segment, Segments } from "./segments.ts";
import { wasiImports } from "./wasi/engine-imports.ts";

/** What an instance asks of whoever runs something in it. */
export interface Guest {
  sliceEnded(): number;
  /** Resolves with 0 to go on, 1 to trap. */
  yielded(): Promise<number>;
  grow(delta: number): number;
  /** A host call; `text` and `bytes` are views of guest memory that are valid only until it returns. */
  op(op: number, text: Uint8Array, bytes: Uint8Array): number;
  /** Wall clock that the guest sees, ms. */
  now(): number;
  /** Fills with random bytes; false when there is no randomness now. */
  random(bytes: Uint8Array): boolean;
  /** Text that the engine's C library writes. */
  write(text: string): void;
}

type Numeric = (...args: number[]) => number;

interface BridgeExports {
  memory: WebAssembly.Memory;
  "bridge:dispatch": Numeric;
  "bridge:run": Numeric;
  "bridge:finished": WebAssembly.Global<"i32">;
  "bridge:seed0": WebAssembly.Global<"i64">;
  "bridge:seed1": WebAssembly.Global<"i64">;
}

/** The code that instances are made of: an {@link Engine}, or one that is being built. */
export interface InstanceCode {
  module: WebAssembly.Module;
  globals: readonly string[];
  parts: readonly Uint8Array[];
  /** Where instances get images from. */
  images?: ImageStore;
}

const { cardBytes, cardBytesLog2, spillBytes } = WriteMap;
/** Memory that is waiting is compared in blocks of so many bytes. */
const savedBlockBytes = 256;

/**
 * One instance of the engine: a memory, a set of globals and the imports bound to whoever runs in it now.
 * It holds no request: {@link restore} makes it the pristine copy of an image.
 */
export class Instance implements Meters {
  readonly exports: BridgeExports & Record<string, unknown>;
  readonly fuel: WebAssembly.Global<"i64">;
  readonly pages: WebAssembly.Global<"i32">;
  /** Calls the guest's dispatcher; may suspend. */
  readonly dispatch: (event: number, id: number, textLength: number, bytesLength: number) => Promise<number>;
  /** Runs bytecode; may suspend. */
  readonly runBytecode: (length: number) => Promise<number>;
  #guest: Guest | null = null;
  #input: Uint8Array[] = [];
  #state: WebAssembly.Global<"i32" | "i64">[];
  #bytes: Uint8Array<ArrayBuffer>;
  /** Marks of the cards that were written to since the last restore. */
  readonly #written: Uint8Array<ArrayBuffer>;
  readonly #images: ImageStore | null;
  readonly #reset: ((image: Placed) => void) | null;
  /** The image that was restored last: but for the marks, memory is what it says. */
  #holds: Placed | null = null;
  #image: Difference | null = null;

  constructor({ module, globals, parts, images }: InstanceCode) {
    const guest = (): Guest => {
      if (this.#guest === null) throw new Error("the sandbox ran while nobody ran it");
      return this.#guest;
    };
    const view = (pointer: number, length: number) => this.view(pointer, length);
    const instance = new WebAssembly.Instance(module, {
      [meterModule]: {
        slice: () => guest().sliceEnded(),
        yield: new WebAssembly.Suspending(() => guest().yielded()) as unknown as WebAssembly.ImportValue,
        grow: (delta: number) => guest().grow(delta),
      },
      "thimble:host": {
        op: (op: number, text: number, textLength: number, bytes: number, bytesLength: number) =>
          op === Op.load
            ? this.#offer(parts, view(text, textLength))
            : guest().op(op, view(text, textLength), this.writable(bytes, bytesLength)),
        fill: (pointer: number, length: number) => this.#fill(pointer, length),
      },
      wasi_snapshot_preview1: wasiImports(guest, (pointer, length) => this.writable(pointer, length)),
      env: engineImports,
    });
    this.exports = instance.exports as typeof this.exports;
    this.fuel = instance.exports[MeterExport.fuel] as WebAssembly.Global<"i64">;
    this.pages = instance.exports[`${MeterExport.pages}0`] as WebAssembly.Global<"i32">;
    this.dispatch = WebAssembly.promising(this.exports["bridge:dispatch"]) as typeof this.dispatch;
    this.runBytecode = WebAssembly.promising(this.exports["bridge:run"]) as typeof this.runBytecode;
    this.#state = globals.map((name) => instance.exports[name] as WebAssembly.Global<"i32" | "i64">);
    this.#bytes = new Uint8Array(this.exports.memory.buffer);
    const written = instance.exports[WriteMap.export] as WebAssembly.Memory;
    this.#written = new Uint8Array(written.buffer);
    this.#images = images ?? null;
    this.#reset = images?.resetter(this.exports.memory, written) ?? null;
  }

  /** Real size of the memory, which the guest may see less of. */
  get physicalPages(): number {
    return this.memory.length / pageSize;
  }

  /** The whole memory; valid until it grows. */
  get memory(): Uint8Array<ArrayBuffer> {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.exports.memory.buffer);
    return this.#bytes;
  }

  /**
   * A part of the memory, to be read.
   *
   * @throws PointerError when it does not lie inside.
   */
  view(pointer: number, length: number): Uint8Array<ArrayBuffer> {
    const memory = this.memory;
    const from = pointer >>> 0;
    const to = from + (length >>> 0);
    if (to > memory.length) throw new PointerError();
    return memory.subarray(from, to);
  }

  /** A part of the memory that may be written to. Throws as {@link view} does. */
  writable(pointer: number, length: number): Uint8Array<ArrayBuffer> {
    const part = this.view(pointer, length);
    this.#mark(pointer >>> 0, length >>> 0);
    return part;
  }

  #mark(address: number, length: number): void {
    if (length === 0) return;
    const first = WriteMap.offset + (address >>> cardBytesLog2);
    const last = WriteMap.offset + Math.floor((address + length - 1) / cardBytes);
    this.#written.fill(1, first, last + 1);
  }

  /** Who answers this instance's imports from now on. */
  bind(guest: Guest | null): void {
    this.#guest = guest;
  }

  /** The values that the next `dispatch` or `runBytecode` takes in, one after the other. */
  provide(...parts: Uint8Array[]): void {
    this.#input = parts;
  }

  /** The next `fill` brings this part; returns its length. */
  #offer(parts: readonly Uint8Array[], index: Uint8Array): number {
    const part = parts[readNumber(index)];
    if (part === undefined) throw new GuestMessageError("number");
    this.#input = [part];
    return part.length;
  }

  /** The length may be the guest's word: a buffer that is not filled to its end holds what the guest left there, which must not be run. */
  #fill(pointer: number, length: number): void {
    if (this.#input.reduce((sum, part) => sum + part.length, 0) !== length)
      throw new GuestMessageError("number");
    let at = pointer >>> 0;
    for (const part of this.#input) {
      this.writable(at, part.length).set(part);
      at += part.length;
    }
    this.#input = [];
  }

  ensurePages(pages: number): boolean {
    const missing = pages - this.physicalPages;
    if (missing <= 0) return true;
    try {
      this.exports.memory.grow(missing);
    } catch {
      return false;
    }
    this.#bytes = new Uint8Array(this.exports.memory.buffer);
    return true;
  }

  /** Makes every byte and every global what the image says, with the differences of a saved state laid over it. */
  restore(image: Difference, saved?: Difference): void {
    const { pages, globals } = saved ?? image;
    if (!this.ensurePages(pages)) throw new Error("there is no memory for the image");
    const placed = this.#imageStore.place(image);
    if (this.#holds !== placed) this.#markDifferences(placed);
    this.#reset!(placed);
    this.#holds = placed;
    this.#image = image;
    if (saved) {
      for (const { address, bytes } of saved.segments) this.writable(address, bytes.length).set(bytes);
    }
    this.pages.value = pages;
    this.fuel.value = 0n;
    for (let i = 0; i < this.#state.length; i++) this.#state[i]!.value = globals[i] as never;
  }

  /** Marks the cards in which another image may be different from what is here, besides those that were written to. */
  #markDifferences({ cards }: Placed): void {
    const written = this.#written;
    const { base } = this.#imageStore;
    if (this.#holds === null) this.#mark(0, base.start + base.bytes.length);
    else for (const card of this.#holds.cards) written[WriteMap.offset + card] = 1;
    for (const card of cards) written[WriteMap.offset + card] = 1;
  }

  get #imageStore(): ImageStore {
    if (this.#images === null) throw new Error("the instance was made without images");
    return this.#images;
  }

  /** The image that was restored here last. */
  get image(): Difference {
    if (this.#image === null) throw new Error("nothing was restored here");
    return this.#image;
  }

  /** What has become of it. */
  save(): Difference {
    const { memory } = this;
    const placed = this.#holds!;
    const images = this.#imageStore;
    const segments: Segment[] = [];
    const end = Math.min(this.pages.value * pageSize, memory.length);
    /** Adds what differs in a part of a card. */
    const compare = (card: number, bytes: number): void => {
      const content = images.content(placed, card);
      for (let from = 0; from < bytes; from += savedBlockBytes) {
        const address = card * cardBytes + from;
        const to = Math.min(from + savedBlockBytes, bytes);
        if (address >= end || equal(memory, address, content, from, to - from)) continue;
        segments.push({ address, bytes: memory.subarray(address, address + to - from) });
      }
    };
    for (let card = 0; card * cardBytes < end; card++) {
      if (this.#written[WriteMap.offset + card] === 1) compare(card, cardBytes);
      else if (card > 0 && this.#written[WriteMap.offset + card - 1] === 1) compare(card, spillBytes);
    }
    return {
      segments: new Segments(segments),
      pages: this.pages.value,
      globals: this.#state.map((global) => global.value),
    };
  }

  /** The state as an image. `start`: the top of the empty stack. */
  capture(start: number): Image {
    const { memory } = this;
    let end = Math.min(this.pages.value * pageSize, memory.length);
    while (end > start && memory[end - 1] === 0) end--;
    return {
      start,
      bytes: memory.slice(start, end),
      pages: this.pages.value,
      globals: this.#state.map((global) => global.value),
    };
  }
}

/** The engine's own imports: hooks that are never installed, so that they are never called. */
const engineImports = {
  host_get_timezone_offset: () => 0,
  host_interrupt: () => 0,
  host_promise_rejection: () => {},
  host_module_normalize: () => 0,
  host_module_load: () => 0,
  host_call: () => 0,
};

/** Whether two parts of arrays hold the same bytes. */
function equal(a: Uint8Array, aFrom: number, b: Uint8Array, bFrom: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aFrom + i] !== b[bFrom + i]) return false;
  return true;
}

/** A guest gave a pointer that lies outside of its memory. Ends the sandbox: no well-behaved engine does that. */
export class PointerError extends Error {
  constructor() {
    super("a host call was given a pointer outside of the sandbox");
    this.name = "PointerError";
  }
}

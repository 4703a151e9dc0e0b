import { MeterExport, meterModule } from "../compiler/wasm/index.ts";
import type { Meters } from "./budget.ts";
import { GuestMessageError, readNumber } from "./guest-message.ts";
import { changedBlocks, denseParts, type Image, pageSize, type SavedState } from "./image.ts";
import { Op } from "./protocol.ts";
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
  /** Memory that nobody has written to is zero already. */
  #used = false;

  /** `parts`: what the guest library can load, see {@link Engine.parts}. */
  constructor(module: WebAssembly.Module, globals: readonly string[], parts: readonly Uint8Array[] = []) {
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
            : guest().op(op, view(text, textLength), view(bytes, bytesLength)),
        fill: (pointer: number) => this.#fill(pointer),
      },
      wasi_snapshot_preview1: wasiImports(guest, view),
      env: engineImports,
    });
    this.exports = instance.exports as typeof this.exports;
    this.fuel = instance.exports[MeterExport.fuel] as WebAssembly.Global<"i64">;
    this.pages = instance.exports[`${MeterExport.pages}0`] as WebAssembly.Global<"i32">;
    this.dispatch = WebAssembly.promising(this.exports["bridge:dispatch"]) as typeof this.dispatch;
    this.runBytecode = WebAssembly.promising(this.exports["bridge:run"]) as typeof this.runBytecode;
    this.#state = globals.map((name) => instance.exports[name] as WebAssembly.Global<"i32" | "i64">);
    this.#bytes = new Uint8Array(this.exports.memory.buffer);
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
   * A part of the memory.
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

  #fill(pointer: number): void {
    let at = pointer >>> 0;
    for (const part of this.#input) {
      this.view(at, part.length).set(part);
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
  restore(image: Image, state: SavedState = image): void {
    this.ensurePages(state.pages);
    const { memory } = this;
    let end = 0;
    for (const { address, bytes } of denseParts(image)) {
      if (this.#used) memory.fill(0, end, address);
      memory.set(bytes, address);
      end = address + bytes.length;
    }
    if (this.#used) memory.fill(0, end);
    this.#used = true;
    if (state.segments) for (const { address, bytes } of state.segments) memory.set(bytes, address);
    this.pages.value = state.pages;
    this.fuel.value = 0n;
    for (let i = 0; i < this.#state.length; i++) this.#state[i]!.value = state.globals[i] as never;
  }

  /** What has become of an image that was restored here. */
  save(image: Image): SavedState {
    const segments = changedBlocks(this.memory.subarray(0, this.pages.value * pageSize), image);
    return { segments, pages: this.pages.value, globals: this.#state.map((global) => global.value) };
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

/** A guest gave a pointer that lies outside of its memory. Ends the sandbox: no well-behaved engine does that. */
export class PointerError extends Error {
  constructor() {
    super("a host call was given a pointer outside of the sandbox");
    this.name = "PointerError";
  }
}

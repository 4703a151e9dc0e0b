import { WriteMap } from "../compiler/wasm/index.ts";
import { type Difference, type Image, pageSize } from "./image.ts";
import { CardList, resetImports, resetModule } from "./reset.ts";

const { cardBytes, cardBytesLog2 } = WriteMap;
const cardsPerPage = pageSize / cardBytes;
const pairsPerChunk = Math.floor((cardBytes - CardList.pairs) / CardList.pairBytes);

/** Memory that the decoded images of functions may take, bytes: those beyond it are decoded again when they are next used. */
const defaultBudgetBytes = 64 * 1024 * 1024;

/** A function's image, decoded: the cards in which it is different from the base image. */
export interface Placed {
  /** Address of its {@link CardList} in the memory of images, or 0. */
  readonly list: number;
  /** The cards' numbers, and the addresses of their contents. */
  readonly cards: Uint32Array;
  readonly contents: Uint32Array;
  /** All that it takes of the memory. */
  readonly slots: number[];
  /** When it was last used, in the order of uses. */
  used: number;
}

/**
 * The images of an engine's functions, in a WebAssembly memory that resets copy from: the base image once, and of each function the
 * cards in which it differs. Which functions are decoded follows their use, within a budget; an image that nobody has any more is given up.
 */
export class ImageStore {
  readonly base: Image;
  readonly #budgetBytes: number;
  readonly #memory: WebAssembly.Memory;
  readonly #reset = new WebAssembly.Module(resetModule());
  readonly #known = new WeakMap<Difference, Placed>();
  /** What is decoded, without a way back to the images themselves: they are not kept for it. */
  readonly #placed = new Set<Placed>();
  readonly #gone = new FinalizationRegistry<Placed>((placed) => this.#drop(placed));
  readonly #baseAddress = cardBytes;
  readonly #baseCards: number;
  #free: number[] = [];
  #uses = 0;
  #slotsUsed = 0;

  constructor(base: Image, budgetBytes = defaultBudgetBytes) {
    this.base = base;
    this.#budgetBytes = budgetBytes;
    const end = base.start + base.bytes.length;
    this.#baseCards = Math.ceil(end / cardBytes);
    // address 0 stands for "none"; a card of zeros follows the base
    const bytes = this.#baseAddress + (this.#baseCards + 1) * cardBytes;
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / pageSize), maximum: 65_536 });
    new Uint8Array(this.#memory.buffer).set(base.bytes, this.#baseAddress + base.start);
    for (let at = bytes; at < this.#memory.buffer.byteLength; at += cardBytes) this.#free.push(at);
  }

  /** Bytes of the images that are decoded, without the base. */
  get decodedBytes(): number {
    return this.#slotsUsed * cardBytes;
  }

  /** What sets back a memory of an instance whose writes are tracked. */
  resetter(memory: WebAssembly.Memory, written: WebAssembly.Memory): (image: Placed) => void {
    const imports = { [resetImports]: { memory, written, images: this.#memory } };
    const { reset } = new WebAssembly.Instance(this.#reset, imports).exports as {
      reset(list: number, base: number, baseCards: number): void;
    };
    return ({ list }) => reset(list, this.#baseAddress, this.#baseCards);
  }

  /** The image, decoded. It stays so until another one is placed. */
  place(image: Difference): Placed {
    const known = this.#known.get(image);
    if (known && this.#placed.has(known)) {
      known.used = ++this.#uses;
      return known;
    }
    const placed = this.#decode(image);
    this.#known.set(image, placed);
    this.#placed.add(placed);
    this.#gone.register(image, placed);
    while (this.decodedBytes > this.#budgetBytes && this.#placed.size > 1) this.#dropOldest(placed);
    return placed;
  }

  /** What a decoded image has at a card. */
  content(placed: Placed, card: number): Uint8Array {
    const own = placed.cards.indexOf(card);
    const beyond = card >= this.#baseCards;
    const address =
      own >= 0 ? placed.contents[own]! : this.#baseAddress + (beyond ? this.#baseCards : card) * cardBytes;
    return new Uint8Array(this.#memory.buffer, address, cardBytes);
  }

  #decode({ segments }: Difference): Placed {
    const slots: number[] = [];
    const contents = new Map<number, number>();
    for (const { address, bytes } of segments) {
      for (let at = address; at < address + bytes.length; ) {
        const card = at >>> cardBytesLog2;
        const end = Math.min((card + 1) * cardBytes, address + bytes.length);
        let slot = contents.get(card);
        if (slot === undefined) {
          slot = this.#takeSlot(slots);
          const from = this.#baseAddress + Math.min(card, this.#baseCards) * cardBytes;
          this.#bytes().copyWithin(slot, from, from + cardBytes);
          contents.set(card, slot);
        }
        this.#bytes().set(bytes.subarray(at - address, end - address), slot + at - card * cardBytes);
        at = end;
      }
    }
    const placed = {
      cards: Uint32Array.from(contents.keys()),
      contents: Uint32Array.from(contents.values()),
      slots,
      used: ++this.#uses,
    };
    return { ...placed, list: this.#writeList(placed) };
  }

  #writeList({ cards, contents, slots }: Omit<Placed, "list">): number {
    let next = 0;
    for (let from = 0; from < cards.length; from += pairsPerChunk) {
      const chunk = this.#takeSlot(slots);
      const view = new DataView(this.#memory.buffer, chunk, cardBytes);
      const count = Math.min(pairsPerChunk, cards.length - from);
      view.setUint32(CardList.next, next, true);
      view.setUint32(CardList.count, count, true);
      for (let i = 0; i < count; i++) {
        const at = CardList.pairs + i * CardList.pairBytes;
        view.setUint32(at, cards[from + i]!, true);
        view.setUint32(at + 4, contents[from + i]!, true);
      }
      next = chunk;
    }
    return next;
  }

  #takeSlot(slots: number[]): number {
    if (this.#free.length === 0) {
      const from = this.#memory.buffer.byteLength;
      this.#memory.grow(growthPages);
      for (let i = growthPages * cardsPerPage - 1; i >= 0; i--) this.#free.push(from + i * cardBytes);
    }
    const slot = this.#free.pop()!;
    slots.push(slot);
    this.#slotsUsed++;
    return slot;
  }

  #dropOldest(but: Placed): void {
    let oldest: Placed | undefined;
    for (const placed of this.#placed)
      if (placed !== but && (oldest === undefined || placed.used < oldest.used)) oldest = placed;
    if (oldest) this.#drop(oldest);
  }

  #drop(placed: Placed): void {
    if (!this.#placed.delete(placed)) return;
    this.#slotsUsed -= placed.slots.length;
    for (const slot of placed.slots) this.#free.push(slot);
  }

  #bytes(): Uint8Array {
    if (this.#view.length === 0) this.#view = new Uint8Array(this.#memory.buffer);
    return this.#view;
  }
  #view: Uint8Array = new Uint8Array(0);
}

/** The memory of images grows in such steps. */
const growthPages = 16;

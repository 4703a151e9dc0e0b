import {
  Assembler,
  emptyModule,
  i32,
  Opcode,
  typeIndex,
  WriteMap,
  writeModule,
} from "../compiler/wasm/index.ts";

/** Module name of the memories that {@link resetModule} imports. */
export const resetImports = "thimble";

/**
 * A list of cards in the memory of images, in chunks: the address of the next chunk or 0, the number of cards in this one, then pairs of a
 * card's number and the address of its content.
 */
export const CardList = { next: 0, count: 4, pairs: 8, pairBytes: 8 } as const;

const { cardBytes, cardBytesLog2, spillBytes } = WriteMap;
const [memory, written, images] = [0, 1, 2];
const pageBytesLog2 = 16;
/** A v128 is as much as is looked at, and copied, at once. */
const vectorBytes = 16;
const [vectorLoad, vectorStore, vectorAnyTrue] = [
  [0xfd, 0x00],
  [0xfd, 0x0b],
  [0xfd, 0x53],
];
const explicitMemory = 0x40;

/**
 * A module with one function, `reset(list, base, baseCards)`: sets every card of `memory` that has a mark in `written` back to what an image
 * says, and takes the marks away. `base` is the address of the base image in `images`; it has so many cards, and one of zeros after them.
 * Beyond it memory is zero. `list` is the address of the {@link CardList} of those cards that are different in the image, or 0.
 *
 * In WebAssembly, since from JavaScript each of a hundred copies would take as long to start as to run. So would a bulk instruction for a
 * card: each is copied by loads and stores of 16 bytes.
 */
export function resetModule(): Uint8Array<ArrayBuffer> {
  const module = emptyModule();
  for (const name of ["memory", "written", "images"])
    module.imports.push({ module: resetImports, name, kind: "memory", memory: { min: 0 } });
  const [list, base, baseCards, cards, card, to, size, pair, from] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const code = new Assembler();
  const access = (opcode: readonly number[], of: number, at = 0): Assembler =>
    code
      .raw([...opcode, explicitMemory])
      .u32(of)
      .u32(at);
  const load = (opcode: number, of: number, at = 0): Assembler => access([opcode], of, at);
  const block = (): Assembler => code.op(Opcode.block).byte(0x40);
  const address = (local: number): Assembler => code.get(local).i32(cardBytesLog2).op(Opcode.i32Shl);
  /** From the address in `from` to the one in `to`. */
  const copy = (first: number, last: number): void => {
    for (let at = first; at < last; at += vectorBytes) {
      code.get(to).get(from);
      access(vectorLoad, images, at);
      access(vectorStore, memory, at);
    }
  };
  const add = (local: number, value: number): Assembler => code.get(local).i32(value).op(Opcode.i32Add);

  code
    .op(Opcode.memorySize)
    .u32(memory)
    .i32(pageBytesLog2 - cardBytesLog2)
    .op(Opcode.i32Shl)
    .set(cards);
  // what the base says, for all that have a mark: sixteen marks are looked at together, then each
  code.loop();
  code.get(card);
  access(vectorLoad, written, WriteMap.offset).raw(vectorAnyTrue).op(Opcode.i32Eqz).if();
  add(card, vectorBytes).set(card);
  code.op(Opcode.else).loop();
  code.get(card);
  load(Opcode.i32Load8U, written, WriteMap.offset).if();
  address(card).set(to);
  code.get(card).get(baseCards).op(Opcode.i32LtU).if();
  code.get(base).get(to).op(Opcode.i32Add).set(from);
  copy(0, cardBytes);
  // a store may have reached into the next card, unless this is the last one
  add(card, 1).get(cards).op(Opcode.i32LtU).if();
  copy(cardBytes, cardBytes + spillBytes);
  code.end();
  code.op(Opcode.else).get(to).i32(0);
  add(card, 1)
    .get(cards)
    .op(Opcode.i32LtU)
    .i32(spillBytes)
    .op(Opcode.i32Mul)
    .i32(cardBytes)
    .op(Opcode.i32Add);
  code.raw([0xfc, 0x0b, memory]).end();
  code.end();
  add(card, 1)
    .tee(card)
    .i32(vectorBytes - 1)
    .op(Opcode.i32And)
    .branchIf(0);
  code.end().end();
  code.get(card).get(cards).op(Opcode.i32LtU).branchIf(0).end();
  // then the image's own cards that have a mark, or whose predecessor has one
  block();
  code.get(list).op(Opcode.i32Eqz).branchIf(0);
  code.loop();
  code.get(list).set(pair);
  code.get(list).get(list);
  load(Opcode.i32Load, images, CardList.count).i32(3).op(Opcode.i32Shl, Opcode.i32Add).set(size);
  code.loop();
  code.get(pair);
  load(Opcode.i32Load, images, CardList.pairs).tee(card);
  load(Opcode.i32Load16U, written, WriteMap.offset - 1).if();
  address(card).set(to).get(pair);
  load(Opcode.i32Load, images, CardList.pairs + 4).set(from);
  copy(0, cardBytes);
  code.end();
  add(pair, CardList.pairBytes).tee(pair).get(size).op(Opcode.i32LtU).branchIf(0).end();
  code.get(list);
  load(Opcode.i32Load, images, CardList.next).tee(list).branchIf(0).end().end();
  code.i32(WriteMap.offset).i32(0).get(cards).raw([0xfc, 0x0b, written]).end();

  module.functions.push({
    type: typeIndex(module, { params: [i32, i32, i32], results: [] }),
    locals: [[6, i32]],
    code: code.finish(),
    position: 0,
  });
  module.exports.push({ name: "reset", kind: "function", index: 0 });
  return writeModule(module);
}

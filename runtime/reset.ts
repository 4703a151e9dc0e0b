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
const marksAtOnce = 8;
const explicitMemory = 0x40;

/**
 * A module with one function, `reset(list, base, baseCards)`: sets every card of `memory` that has a mark in `written` back to what an image
 * says, and takes the marks away. `base` is the address of the base image in `images`; it has so many cards, and one of zeros after them.
 * Beyond it memory is zero. `list` is the address of the {@link CardList} of those cards that are different in the image, or 0.
 *
 * In WebAssembly, since from JavaScript each of a hundred copies would take as long to start as to run.
 */
export function resetModule(): Uint8Array<ArrayBuffer> {
  const module = emptyModule();
  for (const name of ["memory", "written", "images"])
    module.imports.push({ module: resetImports, name, kind: "memory", memory: { min: 0 } });
  const [list, base, baseCards, cards, card, to, size, pair] = [0, 1, 2, 3, 4, 5, 6, 7];
  const code = new Assembler();
  const load = (opcode: number, from: number, at = 0): Assembler =>
    code.byte(opcode).u32(explicitMemory).u32(from).u32(at);
  const block = (): Assembler => code.op(Opcode.block).byte(0x40);
  const address = (local: number): Assembler => code.get(local).i32(cardBytesLog2).op(Opcode.i32Shl);
  const copy = (): Assembler => code.raw([0xfc, 0x0a, memory, images]);
  const add = (local: number, value: number): Assembler => code.get(local).i32(value).op(Opcode.i32Add);

  code
    .op(Opcode.memorySize)
    .u32(memory)
    .i32(pageBytesLog2 - cardBytesLog2)
    .op(Opcode.i32Shl)
    .set(cards);
  // what the base says, for all that have a mark: eight marks are looked at together, then each
  code.loop();
  code.get(card);
  load(Opcode.i64Load, written, WriteMap.offset).op(Opcode.i64Eqz).if();
  add(card, marksAtOnce).set(card);
  code.op(Opcode.else).loop();
  code.get(card);
  load(Opcode.i32Load8U, written, WriteMap.offset).if();
  address(card).set(to);
  // a store may have reached into the next card, unless this is the last one
  add(card, 1)
    .get(cards)
    .op(Opcode.i32LtU)
    .i32(spillBytes)
    .op(Opcode.i32Mul)
    .i32(cardBytes)
    .op(Opcode.i32Add)
    .set(size);
  code.get(card).get(baseCards).op(Opcode.i32LtU).if();
  code.get(to).get(base).get(to).op(Opcode.i32Add).get(size);
  copy();
  code.op(Opcode.else).get(to).i32(0).get(size).raw([0xfc, 0x0b, memory]).end();
  code.end();
  add(card, 1)
    .tee(card)
    .i32(marksAtOnce - 1)
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
  address(card).get(pair);
  load(Opcode.i32Load, images, CardList.pairs + 4).i32(cardBytes);
  copy();
  code.end();
  add(pair, CardList.pairBytes).tee(pair).get(size).op(Opcode.i32LtU).branchIf(0).end();
  code.get(list);
  load(Opcode.i32Load, images, CardList.next).tee(list).branchIf(0).end().end();
  code.i32(WriteMap.offset).i32(0).get(cards).raw([0xfc, 0x0b, written]).end();

  module.functions.push({
    type: typeIndex(module, { params: [i32, i32, i32], results: [] }),
    locals: [[5, i32]],
    code: code.finish(),
    position: 0,
  });
  module.exports.push({ name: "reset", kind: "function", index: 0 });
  return writeModule(module);
}

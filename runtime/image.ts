/** Bytes of a page of linear memory. */
export const pageSize = 65_536;

/** Everything that an instance holds between two requests: its memory and its mutable globals. */
export interface Image {
  /** Address of `bytes[0]`: below it lies only the stack, which is empty. */
  start: number;
  /** Memory from `start`; what follows is zero. */
  bytes: Uint8Array;
  /** Size of the linear memory as the guest sees it, pages. */
  pages: number;
  /** Values of the exported mutable globals, in the order of {@link Engine.globals}. */
  globals: (number | bigint)[];
}

/** A run of bytes at an address, as a data segment holds it. */
export interface Segment {
  address: number;
  bytes: Uint8Array;
}

/** The state of an instance, as differences to an image that is known from elsewhere. */
export interface SavedState {
  segments?: Segment[];
  pages: number;
  globals: (number | bigint)[];
}

/** Sizes at which memory is compared: each only where the one before found a difference. */
const comparedSizes = [pageSize, 4096, 512] as const;
const zeros = Buffer.alloc(pageSize);

/** Copies of the blocks of `memory` that differ from the image. */
export function changedBlocks(memory: Uint8Array, image: Image): Segment[] {
  const imageEnd = image.start + image.bytes.length;
  const now = asBuffer(memory);
  const before = asBuffer(image.bytes);
  const same = (from: number, to: number): boolean => {
    if (from >= imageEnd || to <= image.start) return now.compare(zeros, 0, to - from, from, to) === 0;
    if (from < image.start) return same(from, image.start) && same(image.start, to);
    if (to > imageEnd) return same(from, imageEnd) && same(imageEnd, to);
    return now.compare(before, from - image.start, to - image.start, from, to) === 0;
  };
  const ranges: { from: number; to: number }[] = [];
  const search = (from: number, to: number, level: number): void => {
    const size = comparedSizes[level]!;
    for (let block = from; block < to; block += size) {
      const end = block + size;
      if (same(block, end)) continue;
      const last = ranges[ranges.length - 1];
      if (level + 1 < comparedSizes.length) search(block, end, level + 1);
      else if (last?.to === block) last.to = end;
      else ranges.push({ from: block, to: end });
    }
  };
  search(0, memory.length, 0);
  // one allocation for all: thousands of waiting sandboxes hold one each
  const copies = new Uint8Array(ranges.reduce((sum, { from, to }) => sum + to - from, 0));
  let at = 0;
  return ranges.map(({ from, to }) => {
    const bytes = copies.subarray(at, at + to - from);
    bytes.set(memory.subarray(from, to));
    at += to - from;
    return { address: from, bytes };
  });
}

/** The same bytes as a Buffer, whose comparison takes ranges and so needs no view for each. */
const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** Zeros in an image that are written instead of copied, which takes half the time, bytes. */
const holeBytes = 4096;
const parts = new WeakMap<Image, Segment[]>();

/** The image without its holes: between these parts it is zero. */
export function denseParts(image: Image): Segment[] {
  const known = parts.get(image);
  if (known) return known;
  const bytes = asBuffer(image.bytes);
  const dense: Segment[] = [];
  let from = -1;
  for (let at = 0; at <= bytes.length; at += holeBytes) {
    const end = Math.min(at + holeBytes, bytes.length);
    const isHole = at >= bytes.length || bytes.compare(zeros, 0, end - at, at, end) === 0;
    if (!isHole && from < 0) from = at;
    if (!isHole || from < 0) continue;
    dense.push({ address: image.start + from, bytes: image.bytes.subarray(from, at) });
    from = -1;
  }
  if (from >= 0) dense.push({ address: image.start + from, bytes: image.bytes.subarray(from) });
  parts.set(image, dense);
  return dense;
}

/** Equal bytes between two runs that cost more as a segment of their own than as part of one. */
const mergeGap = 16;

/** The runs in which `image` differs from `base`. */
export function difference(base: Image, image: Image): Segment[] {
  const segments: Segment[] = [];
  const { bytes, start } = image;
  const at = (i: number): number => base.bytes[i] ?? 0;
  let i = 0;
  while (i < bytes.length) {
    if (bytes[i] === at(i)) {
      i++;
      continue;
    }
    const from = i;
    let last = i;
    for (i++; i < bytes.length && i - last <= mergeGap; i++) if (bytes[i] !== at(i)) last = i;
    segments.push({ address: start + from, bytes: bytes.subarray(from, last + 1) });
    i = last + 1;
  }
  // a base that is longer than the image would shine through
  if (base.bytes.length > bytes.length) {
    segments.push({ address: start + bytes.length, bytes: new Uint8Array(base.bytes.length - bytes.length) });
  }
  return segments;
}

/** `base` with segments laid over it. The segments must lie in `[base.start, pages)`: artefact reading checks that. */
export function overlay(
  base: Image,
  segments: readonly Segment[],
  pages: number,
  globals: (number | bigint)[],
): Image {
  let end = base.bytes.length;
  for (const { address, bytes } of segments) end = Math.max(end, address - base.start + bytes.length);
  const bytes = new Uint8Array(end);
  bytes.set(base.bytes);
  for (const segment of segments) bytes.set(segment.bytes, segment.address - base.start);
  return { start: base.start, bytes, pages, globals };
}

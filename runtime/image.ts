import { type Segment, Segments } from "./segments.ts";

/** Bytes of a page of linear memory. */
export const pageSize = 65_536;

/** The size of a memory and the values of the globals beside it. */
interface Registers {
  /** Size of the linear memory as the guest sees it, pages. */
  pages: number;
  /** Values of the exported mutable globals, in the order of {@link Engine.globals}. */
  globals: (number | bigint)[];
}

/** Everything that an instance holds between two requests: its memory and its mutable globals. */
export interface Image extends Registers {
  /** Address of `bytes[0]`: below it lies only the stack, which is empty. */
  start: number;
  /** Memory from `start`; what follows is zero. */
  bytes: Uint8Array;
}

/** The state of an instance, as differences to an image that is known from elsewhere: a function's image, or one that waits. */
export interface Difference extends Registers {
  segments: Segments;
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

/** An image as what it has besides another one. */
export function differenceTo(base: Image, image: Image): Difference {
  const { pages, globals } = image;
  return { segments: new Segments(difference(base, image)), pages, globals };
}

/** A state as a difference to what its image is a difference to. */
export function overlaid(image: Difference, state: Difference): Difference {
  const { pages, globals } = state;
  return { segments: new Segments([...image.segments, ...state.segments]), pages, globals };
}

import library from "readable-stream/lib/stream.js";
import {
  duplexFromWeb,
  duplexToWeb,
  readableFromWeb,
  readableToWeb,
  writableFromWeb,
  writableToWeb,
} from "./stream-adapters.ts";

type Library = typeof import("node:stream") & { Stream: typeof import("node:stream").Stream };

/** Node's streams, as `readable-stream` has them, with the bridges to those of the web. */
const Stream = library as unknown as Library;
Object.assign(Stream.Readable, { fromWeb: readableFromWeb, toWeb: readableToWeb });
Object.assign(Stream.Writable, { fromWeb: writableFromWeb, toWeb: writableToWeb });
Object.assign(Stream.Duplex, { fromWeb: duplexFromWeb, toWeb: duplexToWeb });

let defaults = { bytes: 65_536, objects: 16 };
export const getDefaultHighWaterMark = (objectMode: boolean): number =>
  objectMode ? defaults.objects : defaults.bytes;
export const setDefaultHighWaterMark = (objectMode: boolean, value: number): void => {
  defaults = objectMode ? { ...defaults, objects: value } : { ...defaults, bytes: value };
};
const isDestroyed = (stream: { destroyed?: boolean } | null): boolean | null => stream?.destroyed ?? null;
Object.assign(Stream, { getDefaultHighWaterMark, setDefaultHighWaterMark, isDestroyed });

export const {
  Duplex,
  PassThrough,
  Readable,
  Transform,
  Writable,
  addAbortSignal,
  compose,
  finished,
  isDisturbed,
  isErrored,
  isReadable,
  pipeline,
  promises,
} = Stream as unknown as typeof import("node:stream") &
  Record<"compose" | "isDisturbed" | "isErrored" | "isReadable", unknown>;
export const destroy = (Stream as unknown as { destroy: unknown }).destroy;
export { Stream };
export default Stream;

import library from "readable-stream/lib/stream.js";
import { asBuffer } from "./as-buffer.ts";

type NodeStream = typeof import("node:stream");
const { Duplex, Readable, Writable, finished } = library as unknown as NodeStream;

/** Between Node's streams and those of the web (https://nodejs.org/api/webstreams.html). */
export function readableFromWeb(stream: ReadableStream, options: object = {}) {
  const reader = stream.getReader();
  let closed = false;
  reader.closed.then(
    () => {
      closed = true;
    },
    () => {
      closed = true;
    },
  );
  return new Readable({
    ...options,
    read() {
      reader.read().then(
        ({ done, value }) => {
          this.push(done ? null : value instanceof Uint8Array ? asBuffer(value) : value);
        },
        (error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      const done = () => callback(error);
      if (closed) done();
      else reader.cancel(error).then(done, done);
    },
  });
}

export function readableToWeb(source: InstanceType<NodeStream["Readable"]>): ReadableStream {
  const objects = source.readableObjectMode;
  return new ReadableStream(
    {
      start(controller) {
        source.pause();
        finished(source, { writable: false }, (error) => {
          if (error) controller.error(error);
          else
            try {
              controller.close();
            } catch {} // it was cancelled
        });
        source.on("data", (chunk: unknown) => {
          controller.enqueue(chunk instanceof Uint8Array && !objects ? new Uint8Array(chunk) : chunk);
          if ((controller.desiredSize ?? 0) <= 0) source.pause();
        });
      },
      pull: () => {
        source.resume();
      },
      cancel: (reason) => {
        source.destroy(reason);
      },
    },
    { highWaterMark: 1 },
  );
}

export function writableFromWeb(stream: WritableStream, options: object = {}) {
  const writer = stream.getWriter();
  return new Writable({
    ...options,
    write(chunk, _encoding, callback) {
      writer.write(chunk).then(() => callback(), callback);
    },
    final(callback) {
      writer.close().then(() => callback(), callback);
    },
    destroy(error, callback) {
      const done = () => callback(error);
      if (error) writer.abort(error).then(done, done);
      else done();
    },
  });
}

export function writableToWeb(target: InstanceType<NodeStream["Writable"]>): WritableStream {
  return new WritableStream({
    start(controller) {
      target.on("error", (error) => controller.error(error));
    },
    write(chunk) {
      return new Promise((resolve, reject) => {
        target.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    },
    close() {
      return new Promise((resolve) => {
        target.end(() => resolve());
      });
    },
    abort(reason) {
      target.destroy(reason);
    },
  });
}

export function duplexFromWeb(
  { readable, writable }: { readable: ReadableStream; writable: WritableStream },
  options: object = {},
) {
  const source = readableFromWeb(readable);
  const target = writableFromWeb(writable);
  const duplex = new Duplex({
    ...options,
    read() {
      source.resume();
    },
    write(chunk, encoding, callback) {
      target.write(chunk, encoding, callback);
    },
    final(callback) {
      target.end(callback);
    },
  });
  source.on("data", (chunk: unknown) => {
    if (!duplex.push(chunk)) source.pause();
  });
  source.on("end", () => duplex.push(null));
  for (const side of [source, target]) side.on("error", (error) => duplex.destroy(error));
  return duplex;
}

export const duplexToWeb = (duplex: InstanceType<NodeStream["Duplex"]>) => ({
  readable: readableToWeb(duplex),
  writable: writableToWeb(duplex),
});

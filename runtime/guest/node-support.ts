import { blobBytes } from "./blob.ts";
import { console } from "./console.ts";
import { captureServer } from "./entry.ts";
import { process } from "./environment.ts";
import { callHost, host } from "./host.ts";
import { formatLine, inspect, inspection } from "./inspect.ts";
import { uncaught } from "./invocation.ts";
import { closeSink, flushSink, openTranscoder, readSource, release, writeSink } from "./pipes.ts";
import { unrefTimer } from "./timers.ts";

/** What modules of Node, which are part of a function's bundle, take from the library in the base image. */
export const nodeSupport = {
  blobBytes,
  callHost,
  captureServer,
  closeSink,
  console,
  flushSink,
  formatLine,
  host,
  inspect,
  inspection,
  openTranscoder,
  process,
  readSource,
  release,
  uncaught,
  unrefTimer,
  writeSink,
};
export type NodeSupport = typeof nodeSupport;

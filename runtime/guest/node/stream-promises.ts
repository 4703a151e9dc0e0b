import { Stream } from "./stream.ts";

const { finished, pipeline } = (Stream as unknown as { promises: typeof import("node:stream/promises") })
  .promises;

export { finished, pipeline };
export default { finished, pipeline };

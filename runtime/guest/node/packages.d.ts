declare module "readable-stream/lib/stream.js" {
  const library: typeof import("node:stream");
  export default library;
}
declare module "path-browserify" {
  const path: typeof import("node:path").posix;
  export default path;
}
declare module "thimble:files" {}

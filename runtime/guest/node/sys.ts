export * from "./util.ts";
export { default } from "./util.ts";

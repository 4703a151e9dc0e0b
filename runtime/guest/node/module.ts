import { nodeError, unsupported } from "./errors.ts";

export const builtinModules: string[] = [];
export const isBuiltin = (name: string): boolean => name.startsWith("node:");
/** What a bundle holds is settled when it is made: nothing can be required later. */
export const createRequire = () => {
  const require = (name: string): never => {
    throw nodeError(
      Error,
      "MODULE_NOT_FOUND",
      `Cannot find module '${name}': import it, so that it is bundled`,
    );
  };
  return Object.assign(require, { resolve: require, cache: {}, main: undefined });
};
export const register = unsupported("module", "register");
export const Module = { builtinModules, isBuiltin, createRequire, register };
export default { ...Module, Module };

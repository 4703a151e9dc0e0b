export { Admission } from "./admission.ts";
export { type Config, type ConfigSources, type FunctionLimits, loadConfig, lowerLimits } from "./config.ts";
export { ConfigError } from "./config-error.ts";
export { type ErrorCode, PlatformError, STATUS_OF_CODE } from "./errors.ts";
export { ListenError } from "./listen.ts";
export { createLogger, type Logger, silentLogger } from "./log.ts";
export type {
  BuildInput,
  Compiler,
  EdgeParts,
  FunctionDatabase,
  PoolStats,
  Program,
  RunOptions,
  Runtime,
  RuntimeStats,
  ServicesProvider,
  ServicesTarget,
} from "./ports.ts";
export { type RunningServer, type ServerDeps, startServer } from "./server.ts";
export { DataDirInUseError } from "./store/data-dir-lock.ts";
export { openStore, type Store } from "./store/open.ts";

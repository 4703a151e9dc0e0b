export { Assembler } from "./assembler.ts";
export { type DylinkInfo, readDylink } from "./dylink.ts";
export { WasmError, type WasmErrorCode } from "./errors.ts";
export { Opcode } from "./instructions.ts";
export { defaultLimits, type ModuleLimits } from "./limits.ts";
export { type InitialData, type LinkResult, link, type SideModule } from "./link.ts";
export {
  Changed,
  GrowAnswer,
  MeterExport,
  type MeterMode,
  type MeterOptions,
  meter,
  meterBytes,
  meterModule,
  SliceAnswer,
} from "./meter.ts";
export * from "./module.ts";

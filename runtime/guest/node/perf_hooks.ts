import { notSupported } from "./errors.ts";

export const { performance } = globalThis;
export const Performance = performance.constructor;
export const constants = {};
export class PerformanceObserver {
  static readonly supportedEntryTypes: readonly string[] = [];
  observe(): void {}
  disconnect(): void {}
  takeRecords(): unknown[] {
    return [];
  }
}
export const createHistogram = (): never => {
  throw notSupported("perf_hooks", "createHistogram");
};
export const monitorEventLoopDelay = (): never => {
  throw notSupported("perf_hooks", "monitorEventLoopDelay");
};
Object.assign(performance, {
  timerify: <T>(work: T): T => work,
  eventLoopUtilization: () => ({ idle: 0, active: 0, utilization: 0 }),
});

export default {
  performance,
  Performance,
  PerformanceObserver,
  constants,
  createHistogram,
  monitorEventLoopDelay,
};

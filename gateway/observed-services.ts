import type { HostServices } from "../runtime/services.ts";
import { type Trace, traceparent } from "./trace.ts";

/** The host services of one execution: as its function's, with an eye on them. */
export interface ObservedServices {
  services: HostServices;
  /** Time until now in which at least one query was under way, ms. */
  databaseMs(): number;
}

/** Measures the time in the database, and hands a trace on with outgoing requests that carry none of their own. */
export function observeServices(services: HostServices, trace: Trace | null): ObservedServices {
  let underWay = 0;
  let since = 0;
  let total = 0;
  return {
    services: {
      fetch: (request, body, signal) => {
        if (!trace || request.headers.some(([name]) => name.toLowerCase() === "traceparent")) {
          return services.fetch(request, body, signal);
        }
        const headers = [...request.headers, ["traceparent", traceparent(trace)] as [string, string]];
        return services.fetch({ ...request, headers }, body, signal);
      },
      openDatabase: () => {
        const session = services.openDatabase();
        return {
          query: async (request, signal) => {
            if (underWay++ === 0) since = performance.now();
            try {
              return await session.query(request, signal);
            } finally {
              if (--underWay === 0) total += performance.now() - since;
            }
          },
          release: (lease) => session.release(lease),
          close: () => session.close(),
        };
      },
    },
    databaseMs: () => total + (underWay > 0 ? performance.now() - since : 0),
  };
}

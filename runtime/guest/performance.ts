import { currentRequest, elapsed, timeOrigin } from "./clock.ts";
import { EventTarget } from "./events.ts";

interface Entry {
  name: string;
  entryType: "mark" | "measure";
  startTime: number;
  duration: number;
  detail: unknown;
}

let kept: Entry[] = [];
let keptFor = currentRequest();

/** What was measured since the request began. */
function entries(): Entry[] {
  if (keptFor === currentRequest()) return kept;
  keptFor = currentRequest();
  kept = [];
  return kept;
}

const named = (list: Entry[], name?: string) =>
  name === undefined ? list : list.filter((entry) => entry.name === name);

class Performance extends EventTarget {
  get timeOrigin(): number {
    return timeOrigin();
  }
  now(): number {
    return elapsed();
  }
  mark(name: string, options?: { startTime?: number; detail?: unknown }): Entry {
    return add({
      name: `${name}`,
      entryType: "mark",
      startTime: options?.startTime ?? this.now(),
      duration: 0,
      detail: options?.detail ?? null,
    });
  }
  measure(
    name: string,
    from?: string | { start?: string | number; end?: string | number; detail?: unknown },
    to?: string,
  ): Entry {
    const options = typeof from === "object" && from !== null ? from : { start: from, end: to, detail: null };
    const startTime = at(options.start, 0);
    const duration = at(options.end, this.now()) - startTime;
    return add({
      name: `${name}`,
      entryType: "measure",
      startTime,
      duration,
      detail: options.detail ?? null,
    });
  }
  getEntries(): Entry[] {
    return [...entries()];
  }
  getEntriesByName(name: string, type?: string): Entry[] {
    return named(entries(), name).filter((entry) => type === undefined || entry.entryType === type);
  }
  getEntriesByType(type: string): Entry[] {
    return entries().filter((entry) => entry.entryType === type);
  }
  clearMarks(name?: string): void {
    remove("mark", name);
  }
  clearMeasures(name?: string): void {
    remove("measure", name);
  }
  toJSON(): { timeOrigin: number } {
    return { timeOrigin: timeOrigin() };
  }
}

function add(entry: Entry): Entry {
  entries().push(entry);
  return entry;
}

function at(mark: string | number | undefined, fallback: number): number {
  if (typeof mark === "number") return mark;
  if (mark === undefined) return fallback;
  const found = entries().findLast((entry) => entry.entryType === "mark" && entry.name === mark);
  if (!found) throw new DOMException(`There is no mark "${mark}"`, "SyntaxError");
  return found.startTime;
}

function remove(type: Entry["entryType"], name?: string): void {
  const gone = new Set(named(entries(), name).filter((entry) => entry.entryType === type));
  kept = kept.filter((entry) => !gone.has(entry));
}

export { Performance };
export const performance = new Performance();

/** Slow calls of the process at a time: the thread pool has other work too. */
const slots = 2;
let running = 0;
const waiting: (() => void)[] = [];

/** Does `work` when it is its turn. */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= slots) await new Promise<void>((next) => waiting.push(next));
  running++;
  try {
    return await work();
  } finally {
    running--;
    waiting.shift()?.();
  }
}

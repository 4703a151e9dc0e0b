import { accessSync, constants, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Another live process uses the data folder; two writers would destroy the embedded databases. */
export class DataDirInUseError extends Error {
  readonly code = "data_dir_in_use";
  constructor(dataDir: string, pid: number) {
    super(
      `${dataDir} is in use by process ${pid}. Stop it, or choose another folder with THIMBLE_DATA_DIR or --data-dir`,
    );
    this.name = "DataDirInUseError";
  }
}

/** The data folder cannot be made or written to. */
export class DataDirError extends Error {
  readonly code = "data_dir_unusable";
  constructor(dataDir: string, cause: unknown) {
    super(
      `The data folder ${dataDir} cannot be used (${reasonOf(dataDir, cause)}). Choose another with THIMBLE_DATA_DIR or --data-dir`,
      { cause },
    );
    this.name = "DataDirError";
  }
}

/** Of a folder that cannot be made, the system often names what it met last; what keeps us from writing above it says more. */
function reasonOf(path: string, cause: unknown): string {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      if (!statSync(folder).isDirectory()) return `${folder} is a file`;
      accessSync(folder, constants.W_OK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" && folder !== dirname(folder)) continue;
      if (code !== "ENOTDIR") return `${code} at ${folder}`;
      continue;
    }
    return (cause as NodeJS.ErrnoException).code ?? String(cause);
  }
}

const held = new Map<string, number>();

/**
 * Claims the data folder (made when missing, mode 0700) for this process; claims within one process are counted.
 * A lock left by a killed process is taken over. Returns the release. Throws {@link DataDirInUseError}, {@link DataDirError}.
 */
export function lockDataDir(dataDir: string): () => void {
  const path = join(dataDir, "lock");
  const count = held.get(path) ?? 0;
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    if (count === 0) claim(path, dataDir);
  } catch (error) {
    throw error instanceof DataDirInUseError ? error : new DataDirError(dataDir, error);
  }
  held.set(path, count + 1);
  let released = false;
  return () => {
    if (released) return;
    released = true;
    const left = (held.get(path) ?? 1) - 1;
    held.set(path, left);
    if (left === 0) {
      held.delete(path);
      rmSync(path, { force: true });
    }
  };
}

function claim(path: string, dataDir: string): void {
  const mine = `${process.pid} ${startOf(process.pid)}`;
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, mine, { flag: "wx", mode: 0o600 });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = liveOwner(path);
    if (owner !== undefined || attempt > 3) throw new DataDirInUseError(dataDir, owner ?? 0);
    rmSync(path, { force: true });
  }
}

/** The process that holds the lock, or undefined when it is gone. */
function liveOwner(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const [pidText = "", start = ""] = text.split(" ");
  const pid = Number(pidText);
  // Our own number is another life of it: in a container the server is process 1 every time.
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
  }
  return startOf(pid) === start ? pid : undefined;
}

/**
 * When a process started, so that a reused number is not taken for its former owner. Empty where /proc is missing, and for one that is dead and
 * only waits for its parent to notice, which a container's first process may never do.
 */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold spaces; start time is the 20th field after it (proc(5), field 22).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "" : (fields[19] ?? "");
  } catch {
    return "";
  }
}

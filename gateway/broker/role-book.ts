import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Role } from "./lane.ts";

/** A function's own login at the functions' database. */
export interface Grant extends Role {
  access: "read" | "write";
}

const grant = z.strictObject({
  user: z.string().min(1),
  password: z.string().min(1),
  access: z.enum(["read", "write"]),
});
const book = z.strictObject({
  /** `host:port/database` */
  database: z.string(),
  functions: z.record(z.string(), grant),
});
export type RoleBookContent = z.infer<typeof book>;

/** How often the file is looked at, ms. */
const CHECK_INTERVAL_MS = 250;

/**
 * The logins of functions, in `database-roles.json` of the data folder (mode 0600): written by `thimble db`, read by the broker only.
 * Once the file is there, a function that is not in it has no access.
 */
export class RoleBook {
  readonly #path: string;
  readonly #database: string;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #stamp = "";
  #content: RoleBookContent | null = null;

  constructor(dataDir: string, database: string) {
    this.#path = join(dataDir, "database-roles.json");
    this.#database = database;
  }

  /** `shared` when no roles were set up; undefined when this function has none. Throws for a file that is damaged or of another database. */
  find(functionName: string): Grant | "shared" | undefined {
    this.#refresh();
    if (this.#content === null) return "shared";
    if (this.#content.database !== this.#database)
      throw new Error(`${this.#path} holds the roles of another database, ${this.#content.database}`);
    return Object.hasOwn(this.#content.functions, functionName)
      ? this.#content.functions[functionName]
      : undefined;
  }

  /** Null when there is no file. */
  read(): RoleBookContent | null {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
    try {
      return book.parse(JSON.parse(text));
    } catch {
      throw new Error(`${this.#path} is damaged`);
    }
  }

  write(functions: RoleBookContent["functions"]): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const next = `${this.#path}.${process.pid}`;
    const content: RoleBookContent = { database: this.#database, functions };
    writeFileSync(next, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
    renameSync(next, this.#path);
  }

  /** Roles that are still the same stay the same objects: connections are kept by them. */
  #refresh(): void {
    const now = performance.now();
    if (now - this.#checkedAt < CHECK_INTERVAL_MS) return;
    this.#checkedAt = now;
    const stats = statSync(this.#path, { throwIfNoEntry: false });
    const stamp = stats ? `${stats.mtimeMs} ${stats.size} ${stats.ino}` : "";
    if (stamp === this.#stamp) return;
    const known = this.#content;
    this.#content = this.read();
    this.#stamp = stamp;
    for (const [name, was] of Object.entries(known?.functions ?? {})) {
      const is = this.#content?.functions[name];
      if (is && is.user === was.user && is.password === was.password && is.access === was.access)
        this.#content!.functions[name] = was;
    }
  }
}

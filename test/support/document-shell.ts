import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "gateway/cli/main.ts");

export const readDocument = (path: string): string => readFileSync(join(root, path), "utf8");

/** A fenced block of a document. */
export interface Block {
  language: string;
  code: string;
  /** The text between the block before and this one. */
  before: string;
}

export function blocksOf(markdown: string): Block[] {
  let last = 0;
  return [...markdown.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm)].map((match) => {
    const before = markdown.slice(last, match.index);
    last = match.index + match[0].length;
    return { language: match[2]!, code: match[3]!, before };
  });
}

/** One section of a document, without its heading; undefined when there is none. */
export function sectionOf(markdown: string, heading: string): string | undefined {
  const start = markdown.indexOf(`\n## ${heading}\n`);
  if (start < 0) return undefined;
  const end = markdown.indexOf("\n## ", start + 1);
  return markdown.slice(start, end < 0 ? undefined : end);
}

/** An output without what differs from run to run. */
export function comparable(output: string): string {
  return output
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<id>")
    .replace(/(wall|cpu|fuel|memory) [\d.,]+/g, "$1 <n>")
    .trim();
}

/** Runs a document's commands as its reader would: in a folder that has the repository's examples, beside a server. */
export class DocumentShell {
  readonly folder = mkdtempSync(join(tmpdir(), "thimble-document-"));
  #server: ChildProcess | undefined;
  #edge = "";
  #admin = "";

  static async start(): Promise<DocumentShell> {
    const shell = new DocumentShell();
    for (const name of ["examples", "templates", "node_modules"])
      symlinkSync(join(root, name), join(shell.folder, name));
    shell.#server = spawn(process.execPath, [main, "serve", "--json"], {
      cwd: shell.folder,
      env: { ...shell.#env(), PORT: "0", ADMIN_PORT: "0" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [line] = await once(shell.#server.stdout!, "data");
    const urls = JSON.parse(String(line)) as { edgeUrl: string; adminUrl: string };
    shell.#edge = new URL(urls.edgeUrl).host;
    shell.#admin = new URL(urls.adminUrl).host;
    return shell;
  }

  #env(): NodeJS.ProcessEnv {
    const port = this.#admin.split(":")[1];
    return { ...process.env, NO_COLOR: "1", ...(port && { ADMIN_PORT: port }) };
  }

  /** Standard output and standard error, in the order in which they came, and the exit code of the last command. */
  async run(commands: string): Promise<{ output: string; code: number | null }> {
    const line = commands
      .replaceAll("npx thimble", `"${process.execPath}" "${main}"`)
      .replaceAll("127.0.0.1:8787", this.#edge)
      .replaceAll("127.0.0.1:8788", this.#admin);
    const child = spawn("sh", ["-c", `{ ${line.trimEnd()}\n} 2>&1`], {
      cwd: this.folder,
      env: this.#env(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    return { output, code: code as number | null };
  }

  async close(): Promise<void> {
    if (this.#server && this.#server.exitCode === null) {
      this.#server.kill("SIGKILL");
      await once(this.#server, "exit");
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

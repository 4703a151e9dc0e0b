import { createHash, randomBytes } from "node:crypto";
import postgres from "postgres";
import { type DatabaseTarget, nameOfDatabase, parseDatabaseUrl } from "./database-url.ts";
import { type Grant, RoleBook } from "./role-book.ts";
import { scramVerifier } from "./scram.ts";

/** One statement of a set-up, as it may be shown: without passwords. */
export interface Step {
  sql: string;
  /** Why it was not done, when it could be left out. */
  skipped?: string;
}

export interface SetUpOptions {
  /** Of a role that may create roles and owns the database, or may create that, too; best, a superuser. */
  adminUrl: string;
  dataDir: string;
}

export interface GrantOptions extends SetUpOptions {
  functionName: string;
  access: "read" | "write";
  /** In the schema `public`; absent: all that there are, and that the admin's role makes later. */
  tables?: string[] | undefined;
  /** A schema of the function's own, in which it may create tables. */
  create?: boolean;
  maxConnections: number;
  timeoutMs: number;
}

/** The functions' database cannot be set up like this. */
export class SetUpError extends Error {
  readonly code = "db_set_up_failed";
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "SetUpError";
  }
}

const INSUFFICIENT_PRIVILEGE = "42501";
const NEEDED =
  "the role of FUNCTION_DATABASE_ADMIN_URL needs CREATEDB to make the database, CREATEROLE for the functions' logins, and must own the database and its tables";

/** Temporary files of one session on the server's disk. */
const TEMP_FILE_LIMIT = "256MB";

/**
 * What everyone (PUBLIC) may call by default, and by which one function could block, signal or fill up what others use: sleeping in
 * a connection, large objects, channels, advisory locks, other sessions, the write-ahead log, and who else is there.
 */
const REVOKED_FUNCTIONS = [
  "pg\\_sleep%",
  "lo\\_%",
  "loread",
  "lowrite",
  "pg\\_notify",
  "pg\\_advisory\\_%",
  "pg\\_try\\_advisory\\_%",
  "pg\\_cancel\\_backend",
  "pg\\_terminate\\_backend",
  "pg\\_logical\\_emit\\_message",
  "pg\\_export\\_snapshot",
  "pg\\_stat\\_get\\_activity",
];
const REVOKED_VIEWS = ["pg_roles", "pg_user", "pg_group", "pg_stat_activity"];

/**
 * Makes the functions' database, if it is not there, and takes from everyone what nobody needs; empties the list of functions' logins if
 * there was none. From then on, a function needs a grant. May be repeated.
 *
 * @throws SetUpError
 */
export async function initDatabase({ adminUrl, dataDir }: SetUpOptions): Promise<Step[]> {
  const target = parseDatabaseUrl(adminUrl);
  const steps: Step[] = [];
  await ensureDatabase(target, steps);
  await withAdmin(target, steps, async (run, sql) => {
    const database = name(target.database);
    await run(`revoke all on database ${database} from public`);
    await run("revoke all on schema public from public");
    const functions = await sql<{ signature: string }[]>`
      select oid::regprocedure::text as signature from pg_proc
      where pronamespace = 'pg_catalog'::regnamespace and proname like any (${REVOKED_FUNCTIONS}) order by 1`;
    const list = functions.map(({ signature }) => `pg_catalog.${signature}`).join(", ");
    await run(`revoke execute on function ${list} from public`, "optional");
    await run("revoke usage on language plpgsql, sql from public", "optional");
    await run(
      `revoke select on ${REVOKED_VIEWS.map((view) => `pg_catalog.${view}`).join(", ")} from public`,
      "optional",
    );
  });
  const book = new RoleBook(dataDir, nameOfDatabase(target));
  book.write(book.read()?.functions ?? {});
  return steps;
}

/**
 * Gives a function a login of its own, with these rights and no others; replaces those that it had.
 *
 * @throws SetUpError
 */
export async function grantAccess(options: GrantOptions): Promise<{ role: string; steps: Step[] }> {
  const target = parseDatabaseUrl(options.adminUrl);
  const book = new RoleBook(options.dataDir, nameOfDatabase(target));
  const functions = bookOf(book, target);
  const login: Grant = {
    user: roleName(target.database, options.functionName),
    password: randomBytes(24).toString("base64url"),
    access: options.access,
  };
  const steps: Step[] = [];
  await withAdmin(target, steps, async (run, sql) => {
    const role = name(login.user);
    const verifier = await scramVerifier(login.password);
    const [known] = await sql`select 1 from pg_roles where rolname = ${login.user}`;
    const settings = `login noinherit connection limit ${options.maxConnections} password '${verifier}'`;
    await run(`${known ? "alter" : "create"} role ${role} ${settings}`);
    await limitRole(run, role, options);
    await run(`grant connect on database ${name(target.database)} to ${role}`);
    await run(`revoke all on all tables in schema public from ${role}`);
    await run(`revoke all on all sequences in schema public from ${role}`);
    await run(`alter default privileges in schema public revoke all on tables from ${role}`);
    await run(`alter default privileges in schema public revoke all on sequences from ${role}`);
    await run(`grant usage on schema public to ${role}`);
    await grantTables(run, role, options, sql);
    if (options.create) {
      await run(`create schema if not exists ${role}`);
      await run(`grant usage, create on schema ${role} to ${role}`);
    } else if (await schemaExists(sql, login.user)) await run(`revoke all on schema ${role} from ${role}`);
  });
  book.write({ ...functions, [options.functionName]: login });
  return { role: login.user, steps };
}

/** Takes a function's login away, and with it what it owns. */
export async function revokeAccess(options: SetUpOptions & { functionName: string }): Promise<Step[]> {
  const target = parseDatabaseUrl(options.adminUrl);
  const book = new RoleBook(options.dataDir, nameOfDatabase(target));
  const { [options.functionName]: login, ...others } = bookOf(book, target);
  if (!login) throw new SetUpError(`the function ${JSON.stringify(options.functionName)} has no login`);
  // first nobody uses it, then it is dropped
  book.write(others);
  const steps: Step[] = [];
  await withAdmin(target, steps, async (run, sql) => {
    const role = name(login.user);
    // who has made a role is not a member of it (Postgres 16), and without that may neither end its sessions nor drop what it owns
    const [member] = await sql`select pg_has_role(${login.user}, 'usage') as is`;
    if (!member?.is) await run(`grant ${role} to current_user`);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${login.user}`;
    await run(`drop schema if exists ${role} cascade`);
    await run(`drop owned by ${role} cascade`);
    await run(`drop role ${role}`);
  });
  return steps;
}

/** Which functions have a login, and for what. Null before the first `init`. */
export function listGrants({
  adminUrl,
  dataDir,
}: SetUpOptions): Record<string, Pick<Grant, "user" | "access">> | null {
  const content = new RoleBook(dataDir, nameOfDatabase(parseDatabaseUrl(adminUrl))).read();
  if (!content) return null;
  const shown = Object.entries(content.functions).map(([key, { user, access }]) => [key, { user, access }]);
  return Object.fromEntries(shown);
}

type Run = (sql: string, necessity?: "optional") => Promise<void>;

/** The host's clock is the limit; these are the second one, for a session that the host has lost. */
async function limitRole(run: Run, role: string, { timeoutMs, create }: GrantOptions): Promise<void> {
  await run(`alter role ${role} set statement_timeout = ${timeoutMs}`);
  await run(`alter role ${role} set lock_timeout = ${timeoutMs}`);
  await run(`alter role ${role} set idle_in_transaction_session_timeout = ${2 * timeoutMs}`);
  await run(`alter role ${role} set search_path = ${create ? `${role}, ` : ""}public`);
  // unlike the others, the session cannot change this one
  await run(`alter role ${role} set temp_file_limit = '${TEMP_FILE_LIMIT}'`, "optional");
}

async function grantTables(
  run: Run,
  role: string,
  { access, tables }: GrantOptions,
  sql: postgres.Sql,
): Promise<void> {
  const rights = access === "read" ? "select" : "select, insert, update, delete";
  if (!tables) {
    await run(`grant ${rights} on all tables in schema public to ${role}`);
    await run(`alter default privileges in schema public grant ${rights} on tables to ${role}`);
    if (access === "read") return;
    await run(`grant usage, select on all sequences in schema public to ${role}`);
    await run(`alter default privileges in schema public grant usage, select on sequences to ${role}`);
    return;
  }
  const list = tables.map((table) => `public.${name(table)}`).join(", ");
  await run(`grant ${rights} on table ${list} to ${role}`);
  if (access === "read") return;
  const sequences = await sql<{ name: string }[]>`
    select quote_ident(seq.relname) as name from pg_class seq join pg_depend d on d.objid = seq.oid and d.deptype in ('a', 'i')
    join pg_class t on t.oid = d.refobjid
    where seq.relkind = 'S' and t.relnamespace = 'public'::regnamespace and t.relname = any (${tables})`;
  if (sequences.length > 0)
    await run(
      `grant usage, select on sequence ${sequences.map((s) => `public.${s.name}`).join(", ")} to ${role}`,
    );
}

async function schemaExists(sql: postgres.Sql, schema: string): Promise<boolean> {
  return (await sql`select 1 from pg_namespace where nspname = ${schema}`).length > 0;
}

function bookOf(book: RoleBook, target: DatabaseTarget) {
  const content = book.read();
  if (!content) throw new SetUpError("run thimble db init first");
  const database = nameOfDatabase(target);
  if (content.database !== database)
    throw new SetUpError(`the logins are those of ${content.database}, not of ${database}`);
  return content.functions;
}

/** A role belongs to the whole server: its name tells the database. At most 63 bytes. */
function roleName(database: string, functionName: string): string {
  const full = `${database}_fn_${functionName}`;
  if (Buffer.byteLength(full) <= 63) return full;
  const digest = createHash("sha256").update(full).digest("hex").slice(0, 12);
  return `${Buffer.from(full)
    .subarray(0, 50)
    .toString("latin1")
    .replace(/[^\w-]/g, "_")}_${digest}`;
}

const name = (text: string) => `"${text.replaceAll('"', '""')}"`;

async function ensureDatabase(target: DatabaseTarget, steps: Step[]): Promise<void> {
  try {
    await withAdmin(target, steps, async () => {});
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } };
    if (cause?.code !== "3D000") throw error;
    const create = `create database ${name(target.database)}`;
    await withAdmin({ ...target, database: "postgres" }, steps, (run) => run(create));
  }
}

/** Runs statements as the admin, one after the other, and notes them. */
async function withAdmin(
  target: DatabaseTarget,
  steps: Step[],
  work: (run: Run, sql: postgres.Sql) => Promise<void>,
): Promise<void> {
  const { host, port, user, password, database, sslMode } = target;
  let noticed: string | undefined;
  const sql = postgres({
    host,
    port,
    user,
    password,
    database,
    ssl: sslMode === "disable" ? false : sslMode,
    max: 1,
    connection: { application_name: "thimble-db" },
    onnotice: ({ severity, message }) => {
      if (severity === "WARNING") noticed = message;
    },
  });
  const run: Run = async (text, necessity) => {
    const step: Step = { sql: text.replace(/password '[^']*'/, "password '…'") };
    noticed = undefined;
    try {
      await sql.unsafe(text);
      if (noticed !== undefined) step.skipped = noticed;
    } catch (cause) {
      const { message, code } = cause as Error & { code?: string };
      const hint = code === INSUFFICIENT_PRIVILEGE ? `; ${NEEDED}` : "";
      if (necessity !== "optional") throw new SetUpError(`${step.sql}: ${message}${hint}`, cause);
      step.skipped = (cause as Error).message;
    }
    steps.push(step);
  };
  try {
    await sql`select 1`.catch((cause) => {
      throw new SetUpError(`no connection to ${nameOfDatabase(target)}: ${cause.message}`, cause);
    });
    await work(run, sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

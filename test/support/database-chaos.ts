import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import type { Outcome, Program } from "../../runtime/index.ts";
import type { DatabaseFunctions } from "./database-functions.ts";
import type { PostgresServer } from "./postgres-server.ts";

/** Each moves money and notes it, in a transaction. Apart from the first, none may ever commit. */
const kinds = {
  pays: "return 'paid'",
  "sleeps in a query": "await tx`select pg_sleep(30)`",
  spins: "for (;;) {}",
  "eats memory": "const held = []; for (;;) held.push(new Uint8Array(1 << 20).fill(1))",
  throws: "throw new Error('no')",
  "recurses without end": "const f = () => f() + 1; f()",
  "waits and is left by its client": "await new Promise((resolve) => setTimeout(resolve, 30_000))",
  "queries and is left by its client": "for (;;) await tx`select pg_sleep(0.001)`",
} as const;
type Kind = keyof typeof kinds;

/** Two of three pay; the others end in each of the other ways. */
const others = Object.keys(kinds).slice(1) as Kind[];
const kindOf = (i: number): Kind => (i % 3 === 2 ? others[Math.floor(i / 3) % others.length]! : "pays");

export interface ChaosOptions {
  server: PostgresServer;
  databaseUrl: string;
  functions: DatabaseFunctions;
  maxConnections: number;
  invocations: number;
  /** Invocations in flight. */
  concurrency: number;
  /** How often the server crashes meanwhile, and is started again. */
  restarts: number;
}

export interface ChaosReport {
  seconds: number;
  outcomes: Record<string, number>;
  restarts: number;
  /** On the server, at most. */
  mostConnections: number;
  /** Payments that are not what their outcome says, and those that nobody may have made. */
  wrongRows: number;
  /** Sum of all balances in the end, which was 0. */
  sum: number;
  /** From the end until as many queries as there are connections have been answered, ms. */
  recoveryMs: number;
  /** In the end, 1 s after: sessions that are doing something, and locks of ours. */
  busySessions: number;
  locks: number;
  connections: number;
}

/** Invocations that end in every way there is, many at once, while the server is killed: what is left of them? */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { server, functions, invocations, concurrency, restarts, databaseUrl } = options;
  const programs = await prepare(functions, databaseUrl);
  const outcomes: Record<string, number> = {};
  const ended: { id: number; kind: Kind; outcome: Outcome["kind"] }[] = [];
  const samples = sampleConnections(server);
  const began = performance.now();

  let next = 0;
  let restarting = Promise.resolve();
  let restarted = 0;
  const worker = async () => {
    while (next < invocations) {
      const id = next++;
      if (restarted < restarts && id >= ((restarted + 1) * invocations) / (restarts + 1)) {
        restarted++;
        restarting = restarting.then(() => server.crash());
      }
      const kind = kindOf(id);
      const outcome = await invoke(functions, programs[kind], kind, id);
      // while the server is away, an invocation fails at once: it shall not be most of them
      if (kind === "pays" && outcome === "threw") await sleep(50);
      ended.push({ id, kind, outcome });
      const key = `${kind}: ${outcome}`;
      outcomes[key] = (outcomes[key] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  await restarting;
  const seconds = (performance.now() - began) / 1000;

  const recoveryMs = await recover(functions, options.maxConnections);
  await sleep(1000);
  const mostConnections = await samples.stop();
  const found = await inspect(databaseUrl, ended);
  return { seconds, outcomes, restarts: restarted, mostConnections, recoveryMs, ...found };
}

async function prepare(functions: DatabaseFunctions, databaseUrl: string): Promise<Record<Kind, Program>> {
  const sql = postgres(databaseUrl, { max: 1, onnotice() {} });
  await sql`create table accounts (id int primary key, balance int not null)`;
  await sql`insert into accounts select n, 0 from generate_series(0, 19) as n`;
  await sql`create table payments (id int not null)`;
  await sql.end();
  const entries = Object.entries(kinds).map(async ([kind, end]) => {
    const program = await functions.body(`
      const id = Number(new URL(request.url).pathname.slice(1));
      const [from, to] = [id % 20, (id * 7 + 1) % 20].sort((a, b) => a - b);
      return sql.begin(async (tx) => {
        await tx\`insert into payments values (\${id})\`;
        await tx\`update accounts set balance = balance - 1 where id = \${from}\`;
        await tx\`update accounts set balance = balance + 1 where id = \${to}\`;
        ${end};
      })`);
    return [kind, program] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Record<Kind, Program>;
}

async function invoke(
  functions: DatabaseFunctions,
  program: Program,
  kind: Kind,
  id: number,
): Promise<Outcome["kind"]> {
  const leaves = kind.endsWith("left by its client");
  const timesOut = kind === "spins" || kind === "sleeps in a query";
  const limits = { timeoutMs: timesOut ? 60 + (id % 60) : 5000 };
  const { outcome } = await functions.run(program, {
    ...limits,
    memoryLimitBytes: 16 * 1024 * 1024,
    request: { url: `http://localhost/${id}` },
    ...(leaves ? { signal: AbortSignal.timeout(20 + (id % 60)) } : {}),
  });
  return outcome.kind;
}

function sampleConnections(server: PostgresServer) {
  let most = 0;
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      const counting = server.admin`select count(*)::int as n from pg_stat_activity where application_name = 'thimble-functions'`;
      const [found] = await counting.catch(() => [{ n: 0 }]);
      most = Math.max(most, found?.n ?? 0);
      await sleep(10);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await done;
      return most;
    },
  };
}

/** Time until as many queries at once as there are connections are answered. */
async function recover(functions: DatabaseFunctions, count: number): Promise<number> {
  const ping = await functions.body("return (await sql`select 1 as one`)[0].one");
  const began = performance.now();
  await Promise.all(
    Array.from({ length: count }, async () => {
      while ((await functions.run(ping)).outcome.kind !== "completed") await sleep(5);
    }),
  );
  return performance.now() - began;
}

async function inspect(databaseUrl: string, ended: { id: number; kind: Kind; outcome: Outcome["kind"] }[]) {
  const sql = postgres(databaseUrl, { max: 1, onnotice() {} });
  const rows = await sql<
    { id: number; n: number }[]
  >`select id, count(*)::int as n from payments group by id`;
  const [{ sum }] = (await sql`select sum(balance)::int as sum from accounts`) as unknown as [
    { sum: number },
  ];
  const [left] = await sql<{ busy: number; connections: number; locks: number }[]>`
    select count(*) filter (where state <> 'idle')::int as busy, count(*)::int as connections,
      (select count(*)::int from pg_locks where pid <> pg_backend_pid() and locktype <> 'virtualxid') as locks
    from pg_stat_activity where application_name = 'thimble-functions'`;
  await sql.end();
  const times = new Map(rows.map(({ id, n }) => [id, n]));
  const wrong = ended.filter(({ id, kind, outcome }) => {
    const made = times.get(id) ?? 0;
    if (kind !== "pays") return made !== 0;
    // one that was not answered may have been committed, or not
    return outcome === "completed" ? made !== 1 : made > 1;
  });
  const { busy, connections, locks } = left!;
  return { wrongRows: wrong.length, sum, busySessions: busy, connections, locks };
}

import { sql } from "thimble:db";

export const config = { database: "write" };

interface Input {
  action?: "add" | "import" | "list" | "done" | "clear" | "slow";
  title?: string;
  titles?: string[];
  id?: number;
}

class InputError extends Error {}

const createTable = () => sql`create table if not exists example_tasks (
  id integer generated always as identity primary key,
  title text not null,
  done boolean not null default false,
  created_at timestamptz not null default now()
)`;

/** All of them, or none. */
const addAll = (titles: string[]) =>
  sql.begin(async (tx) => {
    for (const title of titles) {
      if (!title) throw new InputError("a task needs a title");
      await tx`insert into example_tasks ${sql({ title })}`;
    }
    return titles.length;
  });

async function run({ action = "list", title, titles, id }: Input): Promise<unknown> {
  switch (action) {
    case "add":
      if (!title) throw new InputError("add needs a title");
      return { added: (await sql`insert into example_tasks ${sql({ title })} returning id, title, done`)[0] };
    case "import":
      return { imported: await addAll(titles ?? []) };
    case "list":
      return { tasks: await sql`select id, title, done from example_tasks order by id limit 100` };
    case "done": {
      const [task] =
        await sql`update example_tasks set done = true where id = ${id ?? null} returning id, title, done`;
      if (!task) throw new InputError(`there is no task ${id}`);
      return { updated: task };
    }
    case "clear":
      return { deleted: (await sql`delete from example_tasks`).count };
    case "slow":
      // Counts for much longer than any query may run, to show what a time-out looks like.
      return { rows: await sql`select count(*) from generate_series(1, 10000000000)` };
    default:
      throw new InputError(`unknown action "${action}"; there are: add, import, list, done, clear, slow`);
  }
}

/** @function Keeps a list of tasks in the database. */
export async function handler(body: Input | undefined): Promise<unknown> {
  const input = body ?? {};
  try {
    // No connection is held between statements, but in a transaction: each borrows from the pool, and the host gives it back.
    await createTable();
    return await run(input);
  } catch (error) {
    if (error instanceof InputError) return Response.json({ error: error.message }, { status: 400 });
    const { code, message } = error as Error & { code?: string };
    console.error("query failed", error);
    if (code === "db_query_timeout")
      return Response.json({ error: "the query took too long", code }, { status: 504 });
    return Response.json({ error: message, code }, { status: 500 });
  }
}

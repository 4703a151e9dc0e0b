import { sql } from "thimble:db";

export const config = { timeoutMs: 3000, database: "write" };

interface Input {
  text?: string;
}

const createTable = () => sql`create table if not exists notes (
  id integer generated always as identity primary key,
  text text not null,
  created_at timestamptz not null default now()
)`;

/** @function Keeps notes: POST one, GET the newest. */
export async function handler(body: Input | undefined, ctx: Context) {
  await createTable();
  if (ctx.request.method === "GET") {
    return { notes: await sql`select id, text from notes order by id desc limit 20` };
  }
  if (!body?.text) return Response.json({ error: "text is missing" }, { status: 400 });
  const [note] = await sql`insert into notes ${sql({ text: body.text })} returning id, text`;
  return Response.json({ note }, { status: 201 });
}

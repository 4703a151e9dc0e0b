export const config = { timeoutMs: 1000 };

interface Input {
  name?: string;
}

/** @function Greets who is named in the body or the query. */
export function handler(body: Input | undefined, ctx: Context) {
  const name = body?.name ?? new URL(ctx.request.url).searchParams.get("name");
  if (!name) return Response.json({ error: "name is missing" }, { status: 400 });
  console.log("greeting", name);
  return { message: `${ctx.env.GREETING ?? "Hello"}, ${name}!` };
}

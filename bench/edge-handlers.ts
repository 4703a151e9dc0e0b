import { echoInput, echoOutput } from "./echo.ts";

/** What all contenders of the edge run: the same text of a handler, as each of them takes it. */
export interface EdgeHandler {
  name: string;
  /** As an ES module with a default object that has `fetch`. */
  module: string;
  /** As a script whose value is a function from text to text, for engines without a host interface; none for what can't be one. */
  script: string | null;
  method: "GET" | "POST";
  body: string;
  output: string;
  /** A path that is requested once at build time. */
  warmup: string | null;
}

export const handlers: EdgeHandler[] = [
  {
    name: "hello",
    module: `export default { fetch() { return Response.json({ hello: "world" }); } };`,
    script: `(body) => JSON.stringify({ hello: "world" })`,
    method: "GET",
    body: "",
    output: `{"hello":"world"}`,
    warmup: null,
  },
  {
    name: "JSON echo",
    module: `export default { async fetch(request) { return Response.json({ echo: await request.json() }); } };`,
    script: `(body) => JSON.stringify({ echo: JSON.parse(body) })`,
    method: "POST",
    body: echoInput,
    output: echoOutput,
    warmup: null,
  },
  {
    name: "Hono app",
    module: `import { Hono } from "hono";
const app = new Hono();
app.use(async (context, next) => { await next(); context.header("x-powered-by", "hono"); });
for (const name of ["users", "posts", "comments"]) app.get("/" + name + "/:id", (context) => context.json({ [name]: context.req.param("id") }));
app.get("/", (context) => context.json({ hello: "world" }));
app.all("*", (context) => context.json({ hello: "world" }));
export default app;`,
    script: null,
    method: "GET",
    body: "",
    output: `{"hello":"world"}`,
    warmup: "/",
  },
];

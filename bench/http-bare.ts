import { serve } from "@hono/node-server";
import { Hono } from "hono";

/** What examples/simple-function does with `{"action":"greet"}`, without a sandbox and all else that Thimble does. */
const app = new Hono();
app.post("/f/hello", async (c) => {
  const { action, name } = await c.req.json();
  return c.json({ action, message: `Hello, ${name}!`, query: c.req.query() });
});

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}/f/hello` }));
});
process.once("SIGTERM", () => server.close(() => process.exit()));

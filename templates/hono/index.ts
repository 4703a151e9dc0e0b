import { Hono } from "hono";
import { logger } from "hono/logger";

/** Answers once while the function is built, so that the router is in its image. */
export const config = { warmup: "/", timeoutMs: 1000 };

const app = new Hono<{ Bindings: Record<string, string> }>();
app.use(logger());
app.get("/", (c) => c.json({ routes: ["/", "/hello/:name"] }));
app.get("/hello/:name", (c) => c.json({ message: `Hello, ${c.req.param("name")}!` }));

/** @function An application with Hono. */
export default app;

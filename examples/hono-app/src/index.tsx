import { Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { cors } from "hono/cors";
import { etag } from "hono/etag";
import { secureHeaders } from "hono/secure-headers";
import { books } from "./books.ts";
import { Page } from "./page.tsx";

/** Answers once while the function is built, so that the router is in its image. */
export const config = { warmup: "/api/books", timeoutMs: 1000, database: false };

type Env = { Bindings: { ADMIN_PASSWORD?: string } };

const app = new Hono<Env>();
app.use(secureHeaders());
app.use("/api/*", cors(), etag());

app.get("/", (c) => c.html(<Page books={books} />));
app.get("/api/books", (c) => {
  const author = c.req.query("author")?.toLowerCase();
  return c.json(books.filter((book) => !author || book.author.toLowerCase().includes(author)));
});
app.get("/api/books/:id{[0-9]+}", (c) => {
  const book = books.find(({ id }) => id === Number(c.req.param("id")));
  return book ? c.json(book) : c.json({ error: "there is no such book" }, 404);
});
app.use("/admin/*", async (c, next) => {
  const password = c.env.ADMIN_PASSWORD;
  if (!password) return c.json({ error: "set ADMIN_PASSWORD first" }, 503);
  return basicAuth({ username: "admin", password })(c, next);
});
app.get("/admin/stats", (c) => c.json({ books: books.length }));
app.notFound((c) => c.json({ error: `nothing at ${c.req.path}` }, 404));

/** @function A small API and page with Hono. */
export default app;

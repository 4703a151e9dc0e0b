import { relations, sql } from "drizzle-orm";
import { integer, pgTable, serial, text, timestamp } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";

export const config = { database: "write" };

const orders = pgTable("example_orders", {
  id: serial("id").primaryKey(),
  customer: text("customer").notNull(),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
});
const items = pgTable("example_items", {
  id: serial("id").primaryKey(),
  orderId: integer("order_id").notNull(),
  product: text("product").notNull(),
  count: integer("count").notNull(),
});
const ordersRelations = relations(orders, ({ many }) => ({ items: many(items) }));
const itemsRelations = relations(items, ({ one }) => ({
  order: one(orders, { fields: [items.orderId], references: [orders.id] }),
}));

// In a sandbox this is the host's pool: a URL would not be used, and there is nothing to close.
const db = drizzle(postgres(), { schema: { orders, items, ordersRelations, itemsRelations } });

async function createTables(): Promise<void> {
  await db.execute(sql`create table if not exists example_orders (
    id serial primary key, customer text not null, created_at timestamptz not null default now())`);
  await db.execute(sql`create table if not exists example_items (
    id serial primary key, order_id int not null references example_orders (id), product text not null,
    count int not null check (count > 0))`);
}

interface Order {
  customer: string;
  items: { product: string; count: number }[];
}

/** @function Lists orders, and takes them: an order is stored with all of its items, or not at all. */
export async function GET(): Promise<Response> {
  await createTables();
  const found = await db.query.orders.findMany({
    with: { items: { columns: { product: true, count: true }, orderBy: items.id } },
    orderBy: orders.id,
    limit: 100,
  });
  return Response.json(found);
}

export async function POST(request: Request): Promise<Response> {
  const order = (await request.json()) as Order;
  await createTables();
  try {
    const stored = await db.transaction(async (tx) => {
      const [{ id }] = (await tx
        .insert(orders)
        .values({ customer: order.customer })
        .returning({ id: orders.id })) as [{ id: number }];
      const rows = order.items.map(({ product, count }) => ({ orderId: id, product, count }));
      await tx.insert(items).values(rows);
      return { id, items: rows.length };
    });
    return Response.json(stored);
  } catch (error) {
    const { code } = ((error as Error).cause ?? error) as { code?: string };
    // 23514: a check of the table refused it
    return Response.json({ error: "the order was refused", code }, { status: code === "23514" ? 400 : 500 });
  }
}

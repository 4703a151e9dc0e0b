import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import postgres from "postgres";
import { type Broker, openBroker } from "../gateway/broker/broker.ts";
import { grantAccess, initDatabase, revokeAccess } from "../gateway/broker/set-up.ts";
import { firstValue, TestSession } from "./support/broker-session.ts";
import { PostgresServer } from "./support/postgres-server.ts";

/** What RDS, Supabase, Neon and their like give: a role that may make roles and databases, and is no superuser. */
describe("a managed server, whose admin is no superuser", () => {
  let server: PostgresServer;
  let dataDir: string;
  let adminUrl: string;
  let admin: postgres.Sql;
  let broker: Broker;
  const role = `manager_${process.pid}`;
  const database = `managed_${process.pid}`;
  const limits = { maxConnections: 3, timeoutMs: 2000 };

  before(async () => {
    server = await PostgresServer.start();
    dataDir = await mkdtemp(join(tmpdir(), "thimble-managed-"));
    await server.admin.unsafe(`create role ${role} login createrole createdb password 'secret'`);
    const url = new URL(`${server.url}/${database}`);
    url.username = role;
    url.password = "secret";
    adminUrl = url.href;
  });
  after(async () => {
    await broker?.close();
    await admin?.end();
    await server.admin.unsafe(`drop database if exists ${database} with (force)`);
    await server.admin.unsafe(`drop role if exists ${role}`);
    await server.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it("makes the database, and says which rights it could not take from everyone", async () => {
    const steps = await initDatabase({ adminUrl, dataDir });
    const left = steps.filter(({ skipped }) => skipped !== undefined).map(({ sql }) => sql.slice(0, 20));
    assert.deepEqual(left, ["revoke execute on fu", "revoke usage on lang", "revoke select on pg_"]);
    assert.equal((await initDatabase({ adminUrl, dataDir })).length, steps.length - 1, "it may be repeated");
  });

  it("gives functions logins with their rights and no others, also repeatedly", async () => {
    admin = postgres(adminUrl, { max: 1, onnotice() {} });
    await admin`create table orders (id serial primary key, text text)`;
    await admin`create table hidden (id int)`;
    for (let i = 0; i < 2; i++) {
      const { steps } = await grantAccess({
        ...{ adminUrl, dataDir, ...limits },
        ...{ functionName: "shop", access: "write", tables: ["orders"], create: true },
      });
      const left = steps.filter(({ skipped }) => skipped !== undefined);
      assert.deepEqual(
        left.map(({ sql }) => /temp_file_limit/.test(sql)),
        [true],
      );
    }
    await grantAccess({ adminUrl, dataDir, ...limits, functionName: "reader", access: "read" });
    broker = openBroker({ databaseUrl: adminUrl, dataDir, ...limits });
    using shop = new TestSession(broker, "shop");
    await shop.rows("insert into orders (text) values ('a')");
    await shop.rows("create table own (id int)");
    assert.equal(await firstValue(broker, "select count(*) from orders", "shop"), 1);
    assert.equal(await shop.code("select * from hidden"), "42501");
    using reader = new TestSession(broker, "reader");
    assert.deepEqual(await reader.rows("select count(*) from orders"), [[1]]);
    assert.equal(await reader.code("insert into orders (text) values ('b')"), "25006");
  });

  it("takes a login away while it is in use, with what it owns", async () => {
    using shop = new TestSession(broker, "shop");
    await shop.rows("select 1");
    await revokeAccess({ adminUrl, dataDir, functionName: "shop" });
    await revokeAccess({ adminUrl, dataDir, functionName: "reader" });
    const left = await server.admin`select rolname from pg_roles where rolname like ${`${database}_fn_%`}`;
    assert.deepEqual([...left], []);
  });

  it("says what is missing when the role may not make databases or roles", async () => {
    const plain = `plain_${process.pid}`;
    await server.admin.unsafe(`create role ${plain} login password 'secret'`);
    const url = new URL(adminUrl);
    url.username = plain;
    url.pathname = "/not_there";
    const bad = { adminUrl: url.href, dataDir: join(dataDir, "plain") };
    await assert.rejects(initDatabase(bad), (error: Error) => {
      assert.match(error.message, /create database/);
      assert.match(error.message, /CREATEDB/);
      return true;
    });
    await server.admin.unsafe(`drop role ${plain}`);
  });
});

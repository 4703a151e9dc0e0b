import assert from "node:assert/strict";
import { test } from "node:test";
import { DURATION_BUCKETS_SECONDS } from "../gateway/execution-counts.ts";
import { Channel, type Handlers } from "../gateway/processes/channel.ts";
import { supervisorMethods, workerMethods } from "../gateway/processes/protocol.ts";

/** What a supervisor takes from a worker that says what it likes. */
function supervisor(handlers: Partial<Handlers<typeof supervisorMethods>>) {
  const violations: Error[] = [];
  const channel = new Channel(
    { send() {} },
    { ours: supervisorMethods, theirs: workerMethods },
    handlers as Handlers<typeof supervisorMethods>,
    (error) => violations.push(error),
  );
  return { channel, violations };
}

test("a worker that only tells what is to be asked, and what then fails, breaks the protocol and nothing else", async () => {
  const save = () => Promise.reject(new Error("the database takes no such row"));
  const { channel, violations } = supervisor({ save });
  channel.receive({ tell: "save", params: { rows: [] } }, undefined);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    violations.map(({ message }) => message),
    ["the database takes no such row"],
  );
});

test("names in reports are functions' names: they become names of files and counters", () => {
  const reports: unknown[] = [];
  const { channel, violations } = supervisor({ report: (one) => void reports.push(one) });
  const line = { level: "info", message: "m", time: "t", requestId: "r", version: 1 };
  const durations = Array(DURATION_BUCKETS_SECONDS.length + 1).fill(0);
  const counts = { outcomes: {}, refusals: {}, durations, wallMs: 0, cpuMs: 0 };
  const empty = { log: [], lines: [], counts: [] };
  const wanted = [
    { ...empty, lines: [{ name: "../../../tmp/evil", line }] },
    { ...empty, counts: [["a".repeat(64), counts]] },
    { ...empty, counts: [["A", counts]] },
  ];
  for (const params of wanted) channel.receive({ tell: "report", params }, undefined);
  assert.equal(violations.length, 3);
  const good = { ...empty, lines: [{ name: "good", line }], counts: [["good", counts]] };
  channel.receive({ tell: "report", params: good }, undefined);
  assert.equal(reports.length, 1);
});

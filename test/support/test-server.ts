import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AnalysisError, CompileError } from "../../compiler/errors.ts";
import type { Analysis } from "../../compiler/types.ts";
import { ensureAdminKey } from "../../gateway/admin/key.ts";
import { loadConfig } from "../../gateway/config.ts";
import { loggerTo } from "../../gateway/log.ts";
import type {
  Compiler,
  FunctionDatabase,
  RunOptions,
  Runtime,
  ServicesProvider,
} from "../../gateway/ports.ts";
import { type RunningServer, startServer } from "../../gateway/server.ts";
import type { InvocationRequest, InvocationResponse, Outcome } from "../../runtime/invocation.ts";

/**
 * A gateway over a scripted runtime, for what is the gateway's own affair: a source says what the function does, as
 * `@function echo`. The real runtime has its own tests, and the command line's use it.
 */

const text = (body: string): Uint8Array => new TextEncoder().encode(body);

const answer = (body: string, more: Partial<InvocationResponse> = {}): Outcome => ({
  kind: "completed",
  response: { status: 200, headers: [["content-type", "application/json"]], body: text(body), ...more },
});

type Behaviour = (request: InvocationRequest, options: RunOptions) => Outcome | Promise<Outcome>;

const behaviours: Record<string, Behaviour> = {
  echo: async (request, { env, context, signal }) => {
    const { method, url, headers } = request;
    let body: Uint8Array;
    try {
      body = new Uint8Array(await new Response(request.body as BodyInit).arrayBuffer());
    } catch (error) {
      if (signal?.aborted) return { kind: "aborted" };
      throw error;
    }
    if (signal?.aborted) return { kind: "aborted" };
    return answer(
      JSON.stringify({
        method,
        url,
        headers,
        body: Buffer.from(body).toString(),
        bytes: body.length,
        env,
        context,
      }),
    );
  },
  one: () => answer("1"),
  names: () => ({
    kind: "completed",
    response: {
      status: 200,
      headers: [
        ["constructor", "a"],
        ["x-twice", "1"],
        ["x-twice", "2"],
      ],
      body: new Uint8Array(0),
    },
  }),
  two: () => answer("2"),
  throw: () => ({
    kind: "threw",
    error: { name: "TypeError", message: "secret detail", stack: "at secret.ts:1" },
  }),
  memory: (_request, { limits }) => ({ kind: "outOfMemory", limitBytes: limits.memoryLimitBytes }),
  hang: async (_request, { limits, signal }) => {
    try {
      await sleep(limits.timeoutMs, undefined, signal ? { signal: signal as AbortSignal } : {});
      return { kind: "timedOut", timeoutMs: limits.timeoutMs };
    } catch {
      return { kind: "aborted" };
    }
  },
  slow: async () => {
    await sleep(150);
    return answer("slow");
  },
  split: () => answer("", { headers: [["x-bad", "a\r\nset-cookie: stolen=1"]] }),
  interim: () => answer("", { status: 101 }),
  cookies: () =>
    answer("ok", {
      headers: [
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["transfer-encoding", "chunked"],
        ["content-length", "999"],
        ["connection", "close"],
      ],
    }),
  empty: () => answer("ignored", { status: 204 }),
  crash: () => Promise.reject(new Error("the runtime itself broke: /etc/secret")),
};

class FakeRuntime implements Runtime {
  busy = 0;
  async load(artifact: Uint8Array) {
    return new TextDecoder().decode(artifact);
  }
  async run(program: string, request: InvocationRequest, options: RunOptions) {
    const started = performance.now();
    this.busy++;
    try {
      const outcome = await (behaviours[program] as Behaviour)(request, options);
      const wallMs = performance.now() - started;
      const logs = [{ level: "info" as const, message: `ran ${program}` }];
      return { outcome, metrics: { wallMs, cpuMs: 0.1, fuel: 42, memoryBytes: 65536, hostCalls: 0 }, logs };
    } finally {
      this.busy--;
    }
  }
  stats() {
    return { instances: 3, busy: this.busy, idle: 3 - this.busy };
  }
  async close() {}
}

const fakeCompiler: Compiler = {
  async build(input) {
    if ("module" in input) throw new CompileError("modules are not built here");
    const { sources, requireAnnotation } = input;
    const source = sources.files[sources.entry] as string;
    const behaviour = /@function (\w+)/.exec(source)?.[1];
    const timeoutMs = /timeoutMs: (\d+)/.exec(source)?.[1];
    const config = timeoutMs ? { timeoutMs: Number(timeoutMs) } : {};
    const analysis: Analysis = { passed: true, findings: [], config };
    if (!behaviour && requireAnnotation) {
      const position = { file: sources.entry, line: 1, column: 1, sourceLine: source };
      const about = { rule: "annotation-missing", message: "No @function", hint: "Add it" };
      throw new AnalysisError({
        ...analysis,
        passed: false,
        findings: [{ ...position, ...about, severity: "error" }],
      });
    }
    if (behaviour === "broken") throw new CompileError("top-level code failed");
    return { artifact: new Uint8Array(text(behaviour ?? "one")), analysis };
  },
  rebuild: async (artifact) => artifact,
};

const fakeServices: ServicesProvider = {
  forFunction: () => ({
    fetch: () => Promise.reject(new Error("not here")),
    openDatabase: () => {
      throw new Error("not here");
    },
  }),
  close: async () => {},
};

const fakeDatabase: FunctionDatabase = {
  openSession: () => {
    throw new Error("not here");
  },
  stats: async () => ({
    initialized: false,
    totalConnections: 0,
    availableConnections: 0,
    inUseConnections: 0,
    maxConnections: 5,
  }),
  close: async () => {},
};

export interface TestServer extends RunningServer {
  dataDir: string;
  key: string;
  /** Everything logged, parsed. */
  logged: Record<string, unknown>[];
  admin(method: string, path: string, body?: unknown): Promise<Response>;
  /** Deploys a function that behaves as named. */
  deploy(name: string, behaviour?: string, more?: Record<string, unknown>): Promise<Response>;
  /** Closes without deleting the data folder. */
  stop(): Promise<void>;
}

export async function startTestServer(
  settings: Record<string, string> = {},
  dataDir?: string,
): Promise<TestServer> {
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), "thimble-test-")));
  const env = { PORT: "0", ADMIN_PORT: "0", THIMBLE_WORKERS: "0", THIMBLE_DATA_DIR: folder, ...settings };
  const logged: Record<string, unknown>[] = [];
  const log = loggerTo("debug", { write: (line) => logged.push(JSON.parse(line)) });
  const server = await startServer(loadConfig({ cwd: folder, env }), {
    compiler: fakeCompiler,
    database: fakeDatabase,
    fleet: {
      kind: "inProcess",
      edgeParts: async () => ({ runtime: new FakeRuntime(), services: fakeServices }),
    },
    log,
  });
  const key = ensureAdminKey(folder);
  const admin = (method: string, path: string, body?: unknown) =>
    fetch(server.adminUrl + path, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  return {
    ...server,
    dataDir: folder,
    key,
    logged,
    admin,
    deploy: (name, behaviour = name, more = {}) =>
      admin("POST", "/v1/functions", {
        name,
        files: { "index.ts": `/** @function ${behaviour} */` },
        ...more,
      }),
    stop: () => server.close(),
    close: async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

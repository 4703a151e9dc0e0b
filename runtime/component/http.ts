import type { InvocationRequest, InvocationResponse } from "../invocation.ts";
import { GuestEnded } from "../metered-execution.ts";
import { HostError } from "../services.ts";
import { Fields } from "./http-fields.ts";
import { InputStream, OutputStream, Pollable } from "./io.ts";
import { Resource, type World } from "./world.ts";

type Variant<T = unknown> = { tag: string; val?: T };
type Result<T> = { tag: "ok"; val: T } | { tag: "err"; val: unknown };

const knownMethods = new Set([
  "get",
  "head",
  "post",
  "put",
  "delete",
  "connect",
  "options",
  "trace",
  "patch",
]);
const noBytes = new Uint8Array(0);

/** What a component has answered. */
export interface Answer {
  response: InvocationResponse | null;
  /** The `error-code` that it gave instead. */
  error: string | null;
}

/**
 * `wasi:http/types` and `outgoing-handler` for one request, and the request itself. Bodies are whole: what a component writes is sent when it has
 * returned, and what it reads is there.
 */
export function httpWorld(world: World) {
  const answer: Answer = { response: null, error: null };
  let answered: OutgoingResponse | null = null;

  class OwnFields extends Fields {
    constructor(list: [string, string][] = [], mutable = true) {
      super(world, list, mutable);
    }
    static fromList(entries: [string, Uint8Array][]): OwnFields {
      const fields = new OwnFields();
      for (const [name, value] of entries) fields.append(name, value);
      return fields;
    }
    clone(): OwnFields {
      return new OwnFields(this.copy());
    }
  }

  class FutureTrailers extends Resource {
    subscribe(): Pollable {
      return Pollable.ready(world);
    }
    get(): Result<Result<undefined>> {
      return { tag: "ok", val: { tag: "ok", val: undefined } };
    }
  }

  class IncomingBody extends Resource {
    readonly #bytes: Uint8Array;
    #taken = false;
    constructor(bytes: Uint8Array) {
      super(world);
      this.#bytes = bytes;
    }
    stream(): InputStream {
      if (this.#taken) throw undefined;
      this.#taken = true;
      return new InputStream(world, this.#bytes);
    }
    static finish(_body: IncomingBody): FutureTrailers {
      return new FutureTrailers(world);
    }
  }

  /** A message that came: its body can be taken once. */
  abstract class Incoming extends Resource {
    readonly #headers: [string, string][];
    #body: Uint8Array | null;
    constructor(headers: [string, string][], body: Uint8Array) {
      super(world);
      this.#headers = headers;
      this.#body = body;
    }
    headers(): OwnFields {
      return new OwnFields(this.#headers, false);
    }
    consume(): IncomingBody {
      if (this.#body === null) throw undefined;
      const body = new IncomingBody(this.#body);
      this.#body = null;
      return body;
    }
  }

  class IncomingRequest extends Incoming {
    readonly #method: string;
    readonly #url: URL;
    constructor({ method, url, headers }: InvocationRequest, body: Uint8Array) {
      super(headers, body);
      this.#method = method;
      this.#url = new URL(url);
    }
    method(): Variant {
      const tag = this.#method.toLowerCase();
      return knownMethods.has(tag) ? { tag } : { tag: "other", val: this.#method };
    }
    pathWithQuery(): string {
      return this.#url.pathname + this.#url.search;
    }
    scheme(): Variant {
      return { tag: this.#url.protocol === "https:" ? "HTTPS" : "HTTP" };
    }
    authority(): string {
      return this.#url.host;
    }
  }

  class IncomingResponse extends Incoming {
    readonly #status: number;
    constructor(status: number, headers: [string, string][], body: Uint8Array) {
      super(headers, body);
      this.#status = status;
    }
    status(): number {
      return this.#status;
    }
  }

  /** A body that the component writes: finished when it says so. */
  class OutgoingBody extends Resource {
    readonly #parts: Uint8Array[] = [];
    #size = 0;
    #taken = false;
    readonly finished = Promise.withResolvers<void>();
    constructor() {
      super(world);
    }
    write(): OutputStream {
      if (this.#taken) throw undefined;
      this.#taken = true;
      return new OutputStream(world, (bytes) => this.#add(bytes));
    }
    bytes(): Uint8Array {
      return Buffer.concat(this.#parts, this.#size);
    }
    static finish(body: OutgoingBody): void {
      body.finished.resolve();
    }
    override [Symbol.dispose](): void {
      super[Symbol.dispose]();
      this.finished.resolve();
    }
    #add(bytes: Uint8Array): void {
      this.#size += bytes.length;
      if (this.#size > world.options.outputLimitBytes) {
        world.outputTooLarge = true;
        throw new GuestEnded();
      }
      world.hold(bytes.length);
      this.#parts.push(bytes.slice());
    }
  }

  abstract class Outgoing extends Resource {
    readonly #headers: Fields;
    outgoingBody: OutgoingBody | null = null;
    constructor(headers: Fields) {
      super(world);
      this.#headers = headers;
    }
    headers(): OwnFields {
      return new OwnFields(this.#headers.copy(), false);
    }
    headerList(): [string, string][] {
      return this.#headers.copy();
    }
    body(): OutgoingBody {
      if (this.outgoingBody) throw undefined;
      this.outgoingBody = new OutgoingBody();
      return this.outgoingBody;
    }
  }

  class OutgoingResponse extends Outgoing {
    #status = 200;
    statusCode(): number {
      return this.#status;
    }
    setStatusCode(status: number): void {
      if (status < 100 || status > 999) throw undefined;
      this.#status = status;
    }
  }

  class OutgoingRequest extends Outgoing {
    #method: Variant = { tag: "get" };
    #path: string | undefined;
    #scheme: Variant | undefined;
    #authority: string | undefined;
    method(): Variant {
      return this.#method;
    }
    setMethod(method: Variant): void {
      this.#method = method;
    }
    pathWithQuery(): string | undefined {
      return this.#path;
    }
    setPathWithQuery(path: string | undefined): void {
      this.#path = path;
    }
    scheme(): Variant | undefined {
      return this.#scheme;
    }
    setScheme(scheme: Variant | undefined): void {
      this.#scheme = scheme;
    }
    authority(): string | undefined {
      return this.#authority;
    }
    setAuthority(authority: string | undefined): void {
      this.#authority = authority;
    }
    /** Where it goes to. @throws an `error-code` for what is no URL. */
    url(): string {
      const { tag, val } = this.#scheme ?? { tag: "HTTPS" };
      const scheme = tag === "other" ? String(val) : tag.toLowerCase();
      try {
        return new URL(`${scheme}://${this.#authority ?? ""}${this.#path ?? "/"}`).href;
      } catch {
        throw { tag: "HTTP-request-URI-invalid" };
      }
    }
    verb(): string {
      return this.#method.tag === "other" ? String(this.#method.val) : this.#method.tag.toUpperCase();
    }
  }

  /** Time-outs are the platform's: a component may say what it wants. */
  class RequestOptions extends Resource {
    #times = new Map<string, bigint | undefined>();
    constructor() {
      super(world);
    }
    connectTimeout = () => this.#times.get("connect");
    setConnectTimeout = (time: bigint | undefined) => void this.#times.set("connect", time);
    firstByteTimeout = () => this.#times.get("first");
    setFirstByteTimeout = (time: bigint | undefined) => void this.#times.set("first", time);
    betweenBytesTimeout = () => this.#times.get("between");
    setBetweenBytesTimeout = (time: bigint | undefined) => void this.#times.set("between", time);
  }

  class FutureIncomingResponse extends Resource {
    #result: Result<IncomingResponse> | null = null;
    #given = false;
    readonly #settled: Promise<void>;
    constructor(response: Promise<{ status: number; headers: [string, string][]; body: Uint8Array }>) {
      super(world);
      this.#settled = response.then(
        ({ status, headers, body }) => {
          this.#result = { tag: "ok", val: new IncomingResponse(status, headers, body) };
        },
        (cause) => {
          this.#result = { tag: "err", val: errorCodeOf(cause) };
        },
      );
    }
    subscribe(): Pollable {
      return new Pollable(
        world,
        () => this.#result !== null,
        () => this.#settled,
      );
    }
    get(): Result<Result<IncomingResponse>> | undefined {
      if (this.#result === null) return undefined;
      if (this.#given) return { tag: "err", val: undefined };
      this.#given = true;
      return { tag: "ok", val: this.#result };
    }
  }

  class ResponseOutparam extends Resource {
    static set(_: ResponseOutparam, response: Result<OutgoingResponse>): void {
      if (response.tag === "ok") answered = response.val;
      else answer.error = (response.val as Variant).tag;
    }
  }

  /** @throws an `error-code` at once for what can't be sent. */
  function handle(request: OutgoingRequest): FutureIncomingResponse {
    const { outgoingBody } = request;
    const head = {
      method: request.verb(),
      url: request.url(),
      headers: request.headerList(),
      redirect: "manual" as const,
      hasBody: outgoingBody !== null,
    };
    const response = world.start(async (signal) => {
      await outgoingBody?.finished.promise;
      return send(world, head, outgoingBody?.bytes() ?? noBytes, signal);
    });
    return new FutureIncomingResponse(response);
  }

  return {
    /** What the export `handle` takes. */
    parameters: (request: InvocationRequest, body: Uint8Array): [IncomingRequest, ResponseOutparam] => [
      new IncomingRequest(request, body),
      new ResponseOutparam(world),
    ],
    /** What it has come to, once that has returned. */
    answer(): Answer {
      if (answered === null) return answer;
      const status = answered.statusCode();
      const body = answered.outgoingBody?.bytes() ?? noBytes;
      return { ...answer, response: { status, headers: answered.headerList(), body } };
    },
    imports: {
      "wasi:http/types": {
        Fields: OwnFields,
        FutureIncomingResponse,
        FutureTrailers,
        IncomingBody,
        IncomingRequest,
        IncomingResponse,
        OutgoingBody,
        OutgoingRequest,
        OutgoingResponse,
        RequestOptions,
        ResponseOutparam,
        httpErrorCode: () => undefined,
      },
      "wasi:http/outgoing-handler": { handle },
    },
  };
}

/** A request to another server, with its answer whole. */
export async function send(
  world: World,
  head: Parameters<World["options"]["services"]["fetch"]>[0],
  body: Uint8Array,
  signal: AbortSignal,
): Promise<{ status: number; headers: [string, string][]; body: Uint8Array }> {
  const response = await world.options.services.fetch(head, body, signal);
  return {
    status: response.head.status,
    headers: response.head.headers,
    body: await whole(world, response.body),
  };
}

async function whole(world: World, body: Uint8Array | ReadableStream<Uint8Array>): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const parts: Uint8Array[] = [];
  for await (const part of body) {
    world.hold(part.length);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** A failed request as WASI's `error-code`. */
function errorCodeOf(cause: unknown): Variant {
  if (!(cause instanceof HostError)) return { tag: "internal-error", val: "the host could not do this" };
  return cause.code === "egress_denied"
    ? { tag: "HTTP-request-denied" }
    : { tag: "internal-error", val: `${cause.code}: ${cause.message}` };
}

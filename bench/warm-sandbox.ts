import type { ScriptProgram } from "../runtime/index.ts";
import { Instance } from "../runtime/instance.ts";
import type { InvocationRequest } from "../runtime/invocation.ts";
import { Event, encodeHead, Op } from "../runtime/protocol.ts";
import { Sandbox } from "../runtime/sandbox.ts";
import { Scheduler } from "../runtime/scheduler.ts";
import { engine, limits } from "./thimble.ts";

const unlimitedMs = 2 ** 31;

/**
 * A sandbox that is never reset: every request finds what those before it left. No product may work like this; it is here to
 * tell what being pristine costs.
 */
export class WarmSandbox extends Sandbox {
  #response: Uint8Array | null = null;

  constructor(program: ScriptProgram) {
    super(new Instance(engine), { ...limits, timeoutMs: unlimitedMs }, new Scheduler(), "bench");
    this.instance.restore(program.image);
  }

  /** The body of the response. */
  async request({ method, url, headers, body }: InvocationRequest): Promise<Uint8Array> {
    const context = { requestId: "r1", functionName: "bench", version: 1 };
    const text = Buffer.from(encodeHead({ method, url, headers, context, now: Date.now() }));
    if (!(body instanceof Uint8Array)) throw new Error("the request is a stream");
    this.instance.provide(text, body);
    this.instance.exports["bridge:finished"].value = 0;
    const status = await this.enter(() => this.instance.dispatch(Event.request, 0, text.length, body.length));
    const response = this.#response;
    this.#response = null;
    if (status !== 0 || response === null) throw new Error(`no response: ${JSON.stringify(status)}`);
    return response;
  }

  op(op: number, _text: Uint8Array, bytes: Uint8Array): number {
    if (op !== Op.respond) throw new Error(`host call ${op} in a benchmark`);
    this.#response = bytes.slice();
    this.instance.exports["bridge:finished"].value = 1;
    return 0;
  }

  now(): number {
    return 0;
  }

  random(): boolean {
    return false;
  }

  write(): void {}
}

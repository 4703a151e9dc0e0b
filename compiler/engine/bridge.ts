import {
  Assembler,
  activeElements,
  emptyModule,
  type FunctionType,
  f64,
  type Global,
  i32,
  i64,
  type Module,
  Opcode,
  typeIndex,
  type ValueType,
} from "../wasm/index.ts";

/** Module name of the imports through which the sandbox reaches its host. */
export const hostModule = "thimble:host";

/** Bytes of a JSValue. QuickJS packs values into 64 bits: the tag in the upper half (quickjs.h, JS_NAN_BOXING). */
const valueSize = 8;
const Tag = {
  string: -7,
  rope: -6,
  object: -1,
  boolean: 1n << 32n,
  null: 2n << 32n,
  undefined: 3n << 32n,
  exception: 6n << 32n,
} as const;

/** Slots of the bridge's functions, counted from its place in the table. */
export const BridgeSlot = { host: 0, random: 1, track: 2, load: 3, latin1: 4 } as const;

/**
 * The few functions between the engine's C interface and the host, as a shared library written by hand:
 *
 * - `dispatch(event, id, textLength, bytesLength) → 0 | 1`: calls the guest's dispatcher with values that the host's `fill`
 *   puts into memory (null for no bytes), then runs the microtask queue until it is empty or the host sets `finished`. 1: the dispatcher threw.
 * - `run(length) → JSValue*`: the same for bytecode.
 * - table slot {@link BridgeSlot.host}: the guest's native function `host(op, text?, bytes?)`, which calls the host's `op`. A string as
 *   `bytes` stands for its UTF-8.
 * - table slot {@link BridgeSlot.random}: `random()`, xorshift128+ (Vigna 2014) over the globals `seed0` and `seed1`.
 * - table slot {@link BridgeSlot.track}: the engine's hook for promises that are rejected while nobody listens, and for those that
 *   somebody listens to after all; calls the guest's `tracker(promise, reason, handled)`.
 * - table slot {@link BridgeSlot.load}: `load(length)`, the value of a script whose bytecode the host's `fill` brings: all of it, or `fill` throws.
 * - table slot {@link BridgeSlot.latin1}: `latin1(text)`, whether a string has no character beyond Latin-1.
 *
 * It does in WebAssembly what would otherwise take a dozen calls between host and sandbox for each request.
 */
export function bridge(): Module {
  const module = emptyModule();
  const importFunction = (from: string, name: string, params: ValueType[], results: ValueType[]): number => {
    module.imports.push({
      module: from,
      name,
      kind: "function",
      type: typeIndex(module, { params, results }),
    });
    return module.imports.length - 1;
  };
  const c = (name: string, params: ValueType[], results: ValueType[]): number =>
    importFunction("env", name, params, results);

  const op = importFunction(hostModule, "op", [i32, i32, i32, i32, i32], [i32]);
  const fill = importFunction(hostModule, "fill", [i32, i32], []);
  const malloc = c("malloc", [i32], [i32]);
  const free = c("free", [i32], []);
  const getContext = c("qjs_get_context_ptr", [], [i32]);
  const getRuntime = c("qjs_get_runtime_ptr", [], [i32]);
  const evalBytecode = c("qjs_eval_bytecode", [i32, i32], [i32]);
  const toCString = c("JS_ToCStringLen2", [i32, i32, i64, i32], [i32]);
  const freeCString = c("JS_FreeCString", [i32, i32], []);
  const getUint8Array = c("JS_GetUint8Array", [i32, i32, i64], [i32]);
  const hasException = c("JS_HasException", [i32], [i32]);
  const getException = c("JS_GetException", [i32], [i64]);
  const newString = c("JS_NewStringLen", [i32, i32, i32], [i64]);
  const newUint8Array = c("JS_NewUint8ArrayCopy", [i32, i32, i32], [i64]);
  const call = c("JS_Call", [i32, i64, i64, i32, i32], [i64]);
  const freeValue = c("JS_FreeValue", [i32, i64], []);
  const executeJob = c("JS_ExecutePendingJob", [i32, i32], [i32]);
  const newNumber = c("JS_NewNumber", [i32, f64], [i64]);
  const functionImports = module.imports.length;

  module.imports.push(
    { module: "env", name: "__stack_pointer", kind: "global", global: { type: i32, mutable: true } },
    { module: "env", name: "__table_base", kind: "global", global: { type: i32, mutable: false } },
  );
  const [stackPointer, tableBase, dispatcher, seed0, seed1, finished, tracker] = [
    0, 1, 2, 3, 4, 5, 6,
  ] as const;
  const zero = (type: ValueType): Global => ({
    type,
    mutable: true,
    init: (type === i64 ? new Assembler().i64(0n) : new Assembler().i32(0)).end().finish(),
  });
  module.globals = [zero(i64), zero(i64), zero(i64), zero(i32), zero(i64)];

  const define = (type: FunctionType, locals: ValueType[], code: Assembler): number => {
    module.functions.push({
      type: typeIndex(module, type),
      locals: locals.map((local) => [1, local]),
      code: code.end().finish(),
      position: 0,
    });
    return functionImports + module.functions.length - 1;
  };
  const enterFrame = (code: Assembler, size: number, frame: number): Assembler =>
    code.globalGet(stackPointer).i32(size).op(Opcode.i32Sub).tee(frame).globalSet(stackPointer);
  const leaveFrame = (code: Assembler, size: number, frame: number): Assembler =>
    code.get(frame).i32(size).op(Opcode.i32Add).globalSet(stackPointer);
  const tagOf = (code: Assembler, value: number): Assembler =>
    code.get(value).i64(32n).op(Opcode.i64ShrU, Opcode.i32WrapI64);

  /** Runs the microtask queue. local 0: four bytes of scratch; 1: the runtime; 2: the context. */
  const drain = define(
    { params: [i32], results: [] },
    [i32, i32, i32],
    new Assembler()
      .call(getRuntime)
      .set(1)
      .call(getContext)
      .set(2)
      .loop()
      .globalGet(finished)
      .op(Opcode.i32Eqz)
      .if()
      .get(1)
      .get(0)
      .call(executeJob)
      .tee(3)
      .i32(0)
      .op(Opcode.i32LtS)
      .if() // the job threw: drop its exception and go on with the next
      .get(2)
      .get(2)
      .call(getException)
      .call(freeValue)
      .end()
      .get(3)
      .branchIf(1)
      .end()
      .end(),
  );

  const argumentCount = 4;
  const frameSize = argumentCount * valueSize + 16;
  const scratch = argumentCount * valueSize;
  {
    const [event, id, textLength, bytesLength, context, buffer, frame, result] = [
      0, 1, 2, 3, 4, 5, 6, 7,
    ] as const;
    const code = new Assembler().call(getContext).set(context);
    code.get(textLength).get(bytesLength).op(Opcode.i32Add).i32(1).op(Opcode.i32Add).call(malloc).tee(buffer);
    code.op(Opcode.i32Eqz).if().op(Opcode.unreachable).end();
    code.get(buffer).get(textLength).get(bytesLength).op(Opcode.i32Add).call(fill);
    enterFrame(code, frameSize, frame);
    code.get(frame).get(event).op(Opcode.i64ExtendI32U).memory(Opcode.i64Store, 0);
    code.get(frame).get(id).op(Opcode.i64ExtendI32U).memory(Opcode.i64Store, valueSize);
    code.get(frame).get(context).get(buffer).get(textLength).call(newString);
    code.memory(Opcode.i64Store, 2 * valueSize);
    code
      .get(frame)
      .i64(Tag.null)
      .memory(Opcode.i64Store, 3 * valueSize);
    code.get(bytesLength).if();
    code
      .get(frame)
      .get(context)
      .get(buffer)
      .get(textLength)
      .op(Opcode.i32Add)
      .get(bytesLength)
      .call(newUint8Array);
    code.memory(Opcode.i64Store, 3 * valueSize).end();
    code.get(buffer).call(free);
    code
      .get(context)
      .globalGet(dispatcher)
      .i64(Tag.undefined)
      .i32(argumentCount)
      .get(frame)
      .call(call)
      .set(result);
    code
      .get(context)
      .get(frame)
      .memory(Opcode.i64Load, 2 * valueSize)
      .call(freeValue);
    code
      .get(context)
      .get(frame)
      .memory(Opcode.i64Load, 3 * valueSize)
      .call(freeValue);
    code.get(context).get(result).call(freeValue);
    code.get(frame).i32(scratch).op(Opcode.i32Add).call(drain);
    leaveFrame(code, frameSize, frame);
    code.get(result).i64(Tag.exception).op(Opcode.i64Eq);
    const index = define({ params: [i32, i32, i32, i32], results: [i32] }, [i32, i32, i32, i64], code);
    module.exports.push({ name: "dispatch", kind: "function", index });
  }
  {
    const [length, buffer, result, frame] = [0, 1, 2, 3] as const;
    const code = new Assembler().get(length).call(malloc).tee(buffer).op(Opcode.i32Eqz);
    code.if().op(Opcode.unreachable).end().get(buffer).get(length).call(fill);
    code.get(buffer).get(length).call(evalBytecode).set(result);
    // the bytecode would stay in freed memory and so in the image
    code.get(buffer).i32(0).get(length).raw([0xfc, 0x0b, 0x00]).get(buffer).call(free);
    enterFrame(code, 16, frame).get(frame).call(drain);
    leaveFrame(code, 16, frame).get(result);
    const index = define({ params: [i32], results: [i32] }, [i32, i32, i32], code);
    module.exports.push({ name: "run", kind: "function", index });
  }

  // A C function of QuickJS: (JSContext *, JSValue this, int argc, JSValue *argv) → JSValue. Missing arguments are undefined,
  // since it is registered with a length of three.
  const cFunction: FunctionType = { params: [i32, i64, i32, i32], results: [i64] };
  const [context, , , argv, text, bytes, frame, value, bytesText] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
  const hostCode = enterFrame(new Assembler(), 16, frame);
  const argument = (index: number): Assembler =>
    hostCode
      .get(argv)
      .memory(Opcode.i64Load, index * valueSize)
      .set(value);
  const release = (string: number): Assembler =>
    hostCode.get(string).if().get(context).get(string).call(freeCString).end();
  const giveUp = (): Assembler => leaveFrame(hostCode, 16, frame).i64(Tag.exception).op(Opcode.return).end();
  /** Where `value` is a string: its UTF-8, whose length goes to a place in the frame. */
  const convert = (to: number, at: number): void => {
    tagOf(hostCode, value).i32(Tag.string).op(Opcode.i32Eq);
    tagOf(hostCode, value).i32(Tag.rope).op(Opcode.i32Eq).op(Opcode.i32Or).if();
    hostCode.get(context).get(frame).i32(at).op(Opcode.i32Add).get(value).i32(0).call(toCString).tee(to);
    hostCode.op(Opcode.i32Eqz).if();
    release(text);
    giveUp().end();
  };
  hostCode.get(frame).i64(0n).memory(Opcode.i64Store);
  argument(1);
  convert(text, 0);
  argument(2);
  convert(bytesText, 4);
  hostCode.get(bytesText).set(bytes);
  tagOf(hostCode, value).i32(Tag.object).op(Opcode.i32Eq).if();
  hostCode.get(context).get(frame).i32(4).op(Opcode.i32Add).get(value).call(getUint8Array).tee(bytes);
  hostCode.op(Opcode.i32Eqz).get(context).call(hasException).op(Opcode.i32And).if();
  release(text);
  giveUp().end();
  hostCode.get(argv).memory(Opcode.i64Load).op(Opcode.i32WrapI64);
  hostCode
    .get(text)
    .get(frame)
    .memory(Opcode.i32Load)
    .get(bytes)
    .get(frame)
    .memory(Opcode.i32Load, 4)
    .call(op);
  hostCode.op(Opcode.i64ExtendI32U).set(value);
  release(text);
  release(bytesText);
  leaveFrame(hostCode, 16, frame).get(value);
  const host = define(cFunction, [i32, i32, i32, i64, i32], hostCode);

  const [x, y] = [4, 5] as const;
  const randomCode = new Assembler().globalGet(seed0).set(x).globalGet(seed1).tee(y).globalSet(seed0);
  randomCode.get(x).get(x).i64(23n).op(Opcode.i64Shl, Opcode.i64Xor).tee(x).get(y).op(Opcode.i64Xor);
  randomCode
    .get(x)
    .i64(17n)
    .op(Opcode.i64ShrU, Opcode.i64Xor)
    .get(y)
    .i64(26n)
    .op(Opcode.i64ShrU, Opcode.i64Xor);
  randomCode
    .globalSet(seed1)
    .get(context)
    .globalGet(seed1)
    .get(y)
    .op(Opcode.i64Add)
    .i64(11n)
    .op(Opcode.i64ShrU);
  randomCode
    .op(Opcode.f64ConvertI64U)
    .f64(2 ** -53)
    .op(Opcode.f64Mul)
    .call(newNumber);
  const random = define(cFunction, [i64, i64], randomCode);

  const [loadBuffer, loadLength, loadValue] = [4, 5, 6] as const;
  const loadCode = new Assembler().get(argv).memory(Opcode.i64Load).op(Opcode.i32WrapI64).set(loadLength);
  loadCode.get(loadLength).call(malloc).tee(loadBuffer).op(Opcode.i32Eqz).if().op(Opcode.unreachable).end();
  loadCode.get(loadBuffer).get(loadLength).call(fill);
  loadCode.get(loadBuffer).get(loadLength).call(evalBytecode).memory(Opcode.i64Load).set(loadValue);
  loadCode.get(loadBuffer).i32(0).get(loadLength).raw([0xfc, 0x0b, 0x00]).get(loadBuffer).call(free);
  loadCode.get(loadValue);
  const load = define(cFunction, [i32, i32, i64], loadCode);

  // UTF-8 begins what lies beyond Latin-1 with a byte of 0xc4 or more, and has no such byte elsewhere
  const [latinFrame, latinText, latinAt, latinEnd] = [4, 5, 6, 7] as const;
  const latinCode = enterFrame(new Assembler(), 16, latinFrame);
  latinCode.get(context).get(latinFrame).get(argv).memory(Opcode.i64Load).i32(0).call(toCString);
  latinCode.tee(latinText).op(Opcode.i32Eqz).if();
  leaveFrame(latinCode, 16, latinFrame).i64(Tag.exception).op(Opcode.return).end();
  latinCode
    .get(latinText)
    .tee(latinAt)
    .get(latinFrame)
    .memory(Opcode.i32Load)
    .op(Opcode.i32Add)
    .set(latinEnd);
  latinCode.op(Opcode.block).byte(0x40).loop();
  latinCode.get(latinAt).get(latinEnd).op(Opcode.i32GeU).branchIf(1);
  latinCode.get(latinAt).memory(Opcode.i32Load8U).i32(0xc4).op(Opcode.i32GeU).branchIf(1);
  latinCode.get(latinAt).i32(1).op(Opcode.i32Add).set(latinAt).branch(0).end().end();
  latinCode.get(context).get(latinText).call(freeCString);
  leaveFrame(latinCode, 16, latinFrame);
  latinCode
    .get(latinAt)
    .get(latinEnd)
    .op(Opcode.i32Eq, Opcode.i64ExtendI32U)
    .i64(Tag.boolean)
    .op(Opcode.i64Add);
  const latin1 = define(cFunction, [i32, i32, i32, i32], latinCode);

  // JSHostPromiseRejectionTracker: (JSContext *, JSValue promise, JSValue reason, bool isHandled, void *opaque)
  const [promise, reason, isHandled, trackFrame, trackResult] = [1, 2, 3, 5, 6] as const;
  const trackCode = new Assembler().globalGet(tracker).i64(0n).op(Opcode.i64Eq).if().op(Opcode.return).end();
  enterFrame(trackCode, 4 * valueSize, trackFrame);
  trackCode.get(trackFrame).get(promise).memory(Opcode.i64Store, 0);
  trackCode.get(trackFrame).get(reason).memory(Opcode.i64Store, valueSize);
  trackCode.get(trackFrame).get(isHandled).op(Opcode.i64ExtendI32U).i64(Tag.boolean).op(Opcode.i64Add);
  trackCode.memory(Opcode.i64Store, 2 * valueSize);
  trackCode
    .get(context)
    .globalGet(tracker)
    .i64(Tag.undefined)
    .i32(3)
    .get(trackFrame)
    .call(call)
    .set(trackResult);
  trackCode.get(trackResult).i64(Tag.exception).op(Opcode.i64Eq).if();
  trackCode.get(context).call(getException).set(trackResult).end();
  trackCode.get(context).get(trackResult).call(freeValue);
  leaveFrame(trackCode, 4 * valueSize, trackFrame);
  const track = define({ params: [i32, i64, i64, i32, i32], results: [] }, [i32, i64], trackCode);

  module.elements = [
    activeElements(new Assembler().globalGet(tableBase).end().finish(), [host, random, track, load, latin1]),
  ];
  module.exports.push(
    { name: "dispatcher", kind: "global", index: dispatcher },
    { name: "seed0", kind: "global", index: seed0 },
    { name: "seed1", kind: "global", index: seed1 },
    { name: "finished", kind: "global", index: finished },
    { name: "tracker", kind: "global", index: tracker },
  );
  return module;
}

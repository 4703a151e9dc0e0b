/** One place of the metering pass, and how it is broken. */
export interface Mutation {
  name: string;
  /** In compiler/wasm. */
  file: string;
  /** Occurs there exactly once. */
  find: string;
  replace: string;
}

const inFile =
  (file: string) =>
  (name: string, find: string, replace: string): Mutation => ({
    name: `${file.replace(".ts", "")}: ${name}`,
    file,
    find,
    replace,
  });

const costs = inFile("costs.ts");
const charges = inFile("charges.ts");
const checks = inFile("checks.ts");
const flow = inFile("flow.ts");
const follow = inFile("follow.ts");
const graph = inFile("call-graph.ts");
const meter = inFile("meter.ts");
const code = inFile("metered-code.ts");
const bodies = inFile("rewrite-body.ts");
const helpers = inFile("helpers.ts");
const plan = inFile("plan.ts");
const leases = inFile("leases.ts");
const counted = inFile("counted-loops.ts");
const bulk = inFile("bulk.ts");
const host = inFile("host.ts");

export const mutations: Mutation[] = [
  code("a portion's turns are free", ".i64(BigInt(turn)).op(Opcode.i64Mul)", ".i64(0n).op(Opcode.i64Mul)"),
  code("portions don't ask", "this.check(turn);\n    this.branch(1)", "this.branch(1)"),
  code("a lease is free", "this.charge(fuel);", ""),
  code("an interpreter's first lease is free", "this.charge(units + fuel);", "this.charge(units);"),
  checks("an interpreter does not ask at its entry", "entry: interprets ||", "entry:"),
  code(
    "a lease is not given back",
    "Opcode.i64ExtendI32S, Opcode.i64Add).globalSet",
    "Opcode.i64ExtendI32S, Opcode.drop).globalSet",
  ),
  code("a lease is taken without asking", ".set(lease);\n    this.settle();", ".set(lease);"),
  code(
    "an interpreter's turns are free",
    "this.get(lease).i32(turn).op(Opcode.i32Sub)",
    "this.get(lease).i32(0).op(Opcode.i32Sub)",
  ),
  counted("any loop is counted", "if (written.has(counter) ||", "if (false ||"),
  counted(
    "a portion has no bound",
    ".i32(most - 1)\n    .op(Opcode.i32LtU, Opcode.select);",
    ".i32(most - 1)\n    .op(Opcode.drop, Opcode.drop);",
  ),
  counted("a portion is a turn too long", "code.i32(1).op(Opcode.i32Sub).set(turns);", "code.set(turns);"),
  counted("the direction does not matter", "direction !== 0 && direction !== Math.sign(step)", "false"),
  costs("plain instructions are free", "fill(1)", "fill(0)"),
  costs("division is free", "division: 4,", "division: 0,"),
  costs("integer division is plain", "0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82", ""),
  costs("floating point division is plain", "0x91, 0x95, 0x9f, 0xa3", ""),
  costs("vector division is plain", "simdDivisions.has(op) ? Cost.division : 1", "1"),
  costs("vectors are free", "simdDivisions.has(op) ? Cost.division : 1", "0"),
  costs("calls are free", "  call: 4,", "  call: 0,"),
  costs("calls through tables don't pay for the callee", "8 + maxLeftToCallers", "8"),
  costs("calls through tables are plain", "plain[Opcode.callIndirect] = ", ""),
  costs("table accesses are free", "table: 2,", "table: 0,"),
  costs("table accesses are plain", "= Cost.table", "= 1"),
  costs("bulk instructions are free", "bulk: 8,", "bulk: 0,"),
  costs("throwing is free", "throw: 100,", "throw: 0,"),
  costs("rethrow is plain", "plain[Opcode.rethrow] = ", ""),
  costs("growing is free", "grow: 100,", "grow: 0,"),
  costs("memory.grow is plain", "plain[Opcode.memoryGrow] = Cost.grow", "plain[Opcode.memoryGrow] = 1"),
  costs("table.grow is plain", "return Cost.grow", "return 1"),
  costs("bulk pays for fewer bytes", "bulkBytesPerFuelLog2 = 4", "bulkBytesPerFuelLog2 = 5"),

  charges("code behind a cut is free", "after.set(at, cost - common);", ""),
  charges("code behind a cut of a cycle is free", "before.set(at, cost);", ""),
  charges("a turn costs the least", "const turn = Math.max(1, cost);", "const turn = 1;"),
  charges("code before a loop does not pay its first turn", "? exit : turn + exit;", "? exit : exit;"),
  charges("code before a loop does not pay for its exit", "? exit : turn + exit;", "? 0 : turn;"),
  charges("the least of a loop's exits", "loop.exit = Math.max(", "loop.exit = Math.min("),
  charges("a loop's exits are always alike", "if (exit - leastExit > grain) chargeLabel(opener);", ""),
  charges(
    "the least of an if without else",
    "own + (elseAt < 0 ? Math.max(cost, other)",
    "own + (elseAt < 0 ? Math.min(cost, other)",
  ),
  charges("the least of if and else", "? cost : Math.max(cost, other))", "? cost : Math.min(cost, other))"),
  charges(
    "a long if is paid by both ways",
    "if (cost - other > grain) cut(at, other);\n        else if (other",
    "if (other",
  ),
  charges("a long else is free", "else after.set(elseAt, other - cost);", ""),
  charges(
    "the code behind an if is not paid by its else",
    "cost = frame.label;\n        break;\n      }\n      case Opcode.catch:",
    "cost = 0;\n        break;\n      }\n      case Opcode.catch:",
  ),
  charges("the least of br_if", "cost = own + Math.max(cost, taken);", "cost = own + Math.min(cost, taken);"),
  charges(
    "a br_if's long way on is paid by both",
    "if (cost - taken > grain) cut(at, taken);\n        else if (taken",
    "if (taken",
  ),
  charges(
    "a br_if's long label is paid by both",
    "else if (taken - cost > grain) chargeLabel(openerOf(flow.index[at]!));",
    "",
  ),
  charges("the least of br_table", "const most = Math.max(...costs);", "const most = Math.min(...costs);"),
  charges(
    "br does not pay for what is behind its label",
    "cost = own + behind(flow.index[at]!);",
    "cost = own;",
  ),
  charges("a handler is free", "if (cost > 0) cut(at);\n        cost = frames", "cost = frames"),
  charges("a label for exceptions has no charge", "flow.caught[opener] === 1 || ", ""),
  charges("a tail call does not pay for the callee", "end(own + calleeCost(flow.index[at]!));", "end(own);"),
  charges("a call does not pay for the callee", "cost += own + calleeCost(flow.index[at]!);", "cost += own;"),
  charges(
    "a br_table's long label is paid by all",
    "if (label > grain) chargeLabel(openerOf(depths[i]!));",
    "{}",
  ),
  charges("constant sizes are free", "(flow.size.get(at) ?? 0) >>> bulkBytesPerFuelLog2", "0"),
  flow("every size is a constant", "before >= 0 && before <= maxConstantSize", "before >= 0"),

  checks("no checks before calls", "if (!checks.entry) this.#cover(flow, cut, checks);", ""),
  checks("a check before a call is forgotten", "before.add(at);\n        if (cut", "if (cut"),
  checks("cuts charge nothing", "if (cut !== undefined) cuts.add(at);", ""),
  checks("no checks before calls of the host", "if (this.#callsHost(flow, at)) checks.before.add(at);", ";"),
  checks(
    "no checks before tail calls of the host",
    "(op === Opcode.call || op === Opcode.returnCall) && flow.index",
    "op === Opcode.call && flow.index",
  ),
  checks("returning is not bounded", "this.#boundReturn(flow, checks.before, cut);", ""),
  checks("a check on the way back is forgotten", "if (sum > 1 && tooMuch) before.add(at);", ""),
  checks("straight code is not bounded", "before.add(at);\n          sum = 1;", "sum = 1;"),
  checks("long functions have no check at their entry", "checks.entry = true;", ""),
  checks(
    "calls are short",
    "this.#lengths[index] = checks.entry ? { head: 0, through: 0, tail } : { head, through, tail };",
    "this.#lengths[index] = { head: 0, through: 0, tail: 0 };",
  ),
  checks(
    "calls of checking functions pass nothing",
    "sum + cost + length.through, length.tail);",
    "sum + cost + length.through, 1);",
  ),
  checks(
    "what callees run before their checks is not bounded",
    "sum + cost + length.head > (leaves",
    "sum + cost > (leaves",
  ),
  checks(
    "what functions run before they return is not bounded",
    "(leaves ? maxTail : maxUnchecked)",
    "maxUnchecked",
  ),
  checks(
    "ways without a check are forgotten",
    "through = Math.max(through, sum + cost + length.through);",
    "",
  ),
  checks("direct calls need no check", "return callee < 0 || (cut?.has(callee) ?? false);", "return false;"),
  checks(
    "calls through tables need no check",
    "case Opcode.returnCallIndirect:\n        return true;",
    "case Opcode.returnCallIndirect:\n        return false;",
  ),
  checks("loops owe nothing", "cost: this.#owed(flow, at)", "cost: 0"),

  graph("nothing is cut", "while (components.length > 0) {", "while (components.length < 0) {"),

  flow(
    "loops closed by tables or handlers",
    'if (op === Opcode.loop && kind !== "branch") this.loop[opener] = LoopKind.header;',
    "",
  ),
  flow("loops with parameters", "if (params > 0) this.loop[at] = LoopKind.header;", ""),
  flow("loops with many branches back", "this.branches[opener]! > maxTurns", "this.branches[opener]! < 0"),
  flow("calls in counted loops", "(op === Opcode.return || leaves(op))", "op === Opcode.return"),
  flow("returns in counted loops", "(op === Opcode.return || leaves(op))", "leaves(op)"),
  flow("loops in counted loops", "if (around) around.simple = false;", ""),
  flow("ways out of counted loops", "if (loop && target < loop.depth) loop.simple = false;", ""),
  leases("long ways in short turns", "unchecked(at) + (after.get(at) ?? 0)", "unchecked(at)"),
  leases("long calls in short turns", "unchecked(at) + (after.get(at) ?? 0)", "(after.get(at) ?? 0)"),
  leases("counted loops in short turns", "sum += portionFuel;\n      else", "{}\n      else"),
  leases("long turns", "most >= fewestTurns && ", ""),

  follow("handlers are not reached", "handler: caught(value) });", "handler: 0 });"),
  follow("labels are not reached by br", "branch(flow.index[at]!, value);", ""),
  follow("labels are not reached by br_if", "branch(flow.index[at]!, part(value, leaving));", ""),
  follow("labels are not reached by br_table", "branch(depth, part(value, leaves(depth)));", "{}"),
  follow("clauses are not reached", "branch(depth, caught(value));", "{}"),
  follow("an else is not reached", "value = label.otherwise;", "value = 0;"),
  follow(
    "an if without else is not passed by",
    "if (label.otherwise !== none) value = join(value, label.otherwise);",
    "",
  ),
  follow(
    "code behind an else forgets the if",
    "label.joined = join(label.joined, value);\n        value = label.otherwise;",
    "value = label.otherwise;",
  ),

  bodies("nothing is charged at entries", "else out.charge(units);", ""),
  bodies("no checks at entries", "if (plan.checks.entry) out.settle();", ""),
  bodies("nothing is charged before cuts", "out.charge(plan.charges.before.get(at) ?? 0);", ""),
  bodies("no checks before instructions", "?? 0);\n        out.settle();", "?? 0);"),
  bodies(
    "nothing is charged behind instructions",
    "if (charge > 0) this.#copyThrough(at).charge(charge);",
    "",
  ),
  code(
    "a check asks nobody",
    "this.charge(Math.max(1, units));\n    this.settle();",
    "this.charge(Math.max(1, units));",
  ),
  code("a check charges nothing", "this.charge(Math.max(1, units));", ""),
  bodies(
    "no checks at headers",
    "this.#copyThrough(at);\n      this.#turn(at, plan);",
    "this.#copyThrough(at);",
  ),
  bodies(
    "no checks at branches back",
    "if (!leases.loops.has(loop)) this.#out.check(turn);",
    "if (!leases.loops.has(loop)) {}",
  ),
  bodies("short turns have no checks", "this.#out.take(this.#locals.lease(), turn);", "{}"),
  helpers("a short lease is free", "code.check(leaseFuel);", "code.settle();"),
  helpers("a short lease is taken without asking", "code.check(leaseFuel);", "code.charge(leaseFuel);"),
  plan("callers pay nothing", ": leftToCallers[callee - imported]!;", ": 0;"),
  plan(
    "callers pay nothing for the host",
    "callee < imported ? Cost.callAnywhere - Cost.call",
    "callee < imported ? 0",
  ),
  bodies(
    "long functions are left to callers that don't pay",
    "plan.charges.entry - plan.leftToCallers",
    "plan.charges.entry - 128",
  ),
  plan(
    "what is not planned yet is never paid",
    "else cut.set(index, checks);",
    "else tell(index, planOf(index, checks, charges));",
  ),
  bodies(
    "bulk sizes are free",
    "out.i64(BigInt(bulkBytesPerFuelLog2)).op(Opcode.i64ShrU);",
    "out.i64(64n - 64n).op(Opcode.i64Mul);",
  ),
  bodies("bulk instructions don't ask", "out.settle();\n    out.get(size);", "out.get(size);"),
  bodies("bulk instructions run at once", "if (this.#plan && !this.#flow.size.has(at)) this.#bulk(at);", ""),
  bodies(
    "table sizes are free",
    "out.tee(size).chargeBy(() => this.#pushSize(size, wide, () => this.#helpers.clampEntries()));",
    "",
  ),
  bodies(
    "bulk instructions of tables don't ask",
    "this.#helpers.clampEntries()));\n    out.settle();",
    "this.#helpers.clampEntries()));",
  ),
  bodies("memories grow by themselves", "this.#replace(at).call(this.#helpers.growMemory(index));", ""),
  bodies("tables grow by themselves", "this.#replace(at).call(this.#helpers.growTable(index));", ""),
  helpers(
    "sizes of 64 bits are cut off",
    "code.op(Opcode.i64LtU, Opcode.select).end();",
    "code.op(Opcode.drop, Opcode.drop).op(Opcode.drop).get(0).op(Opcode.i32WrapI64, Opcode.i64ExtendI32U).end();",
  ),
  helpers(
    "the answer trap is ignored",
    "code.get(0).if().op(Opcode.unreachable).end().end();",
    "code.end();",
  ),
  helpers("the answer yield is ignored", ".call(imports.yield)", ".i32(0)"),
  helpers("the host's trap at growth is ignored", "if().op(Opcode.unreachable).end();\n}", "if().end();\n}"),
  meter(
    "start functions are not exported",
    "if (module.start !== undefined) {",
    "if (module.start === -1) {",
  ),
  meter("start functions run before the host is there", "delete out.start;", ""),
  bodies("no flag for changed tables", "if (change > 0) {", "if (change < 0) {"),

  bulk("chunks don't ask", "code.call(sliceEnd).branch(1)", "code.branch(1)"),
  bulk(
    "large operations run in one chunk",
    "op(sizes.gtU).if();\n    turn();",
    "op(sizes.gtU).if();\n    whole().op(Opcode.return);\n    turn();",
  ),
  bulk("chunks write before the whole fits", "mustFit(to, memoryLength(memory, operands[to]));", ""),

  bulk(
    "copies read before the whole fits",
    "if (op === Opcode.memoryCopy) mustFit(from, memoryLength(source, operands[from]));",
    "",
  ),
  bulk(
    "segments are read before the whole fits",
    "if (op === Opcode.memoryInit) mustFit(from, () => code.i64(BigInt(source)));",
    "",
  ),
  bulk(
    "overlapping copies all go forwards",
    "op(arithmetic(operands[to]).leU).if();",
    "op(0x1a, 0x1a).i32(1).if();",
  ),

  host("totals don't saturate", "return fuel > maxFuel ? maxFuel : fuel;", "return fuel;"),
  host(
    "fuel is no limit",
    "if (this.#fuel !== undefined && this.#finished > this.#fuel) return",
    "if (this.#fuel === -1n) return",
  ),
  host(
    "fuel is no limit after a yield",
    "if (this.#fuel !== undefined && this.fuelUsed > this.#fuel) return",
    "if (this.#fuel === -1n) return",
  ),
  host("slices are as long as the fuel", "Math.min(left, this.#fuelPerSlice)", "left"),
  host("slices reach beyond the fuel", "Math.min(left, this.#fuelPerSlice)", "this.#fuelPerSlice"),
  host(
    "a stopped guest may be entered again",
    "this.#set(this.stopped === undefined ? 0 : ended);",
    "this.#set(0);",
  ),
  host("a stopped guest may go on", "if (this.stopped !== undefined) return SliceAnswer.trap;", ""),
  host(
    "onSlice may not stop",
    'if (this.stopped !== undefined || answer === "trap") return this.#stop("host");',
    "",
  ),
  host(
    "onYield may not stop",
    'if (answer === "trap") return this.#stop("host");',
    'if (answer === "trap") return 0;',
  ),
  host("memories have no limit", "if (this.#allPages() + delta > this.#memoryPages) {", "if (delta < 0) {"),
  host(
    "tables have no limit",
    "if (this.#entries() + delta <= this.#tableEntries) return 0;",
    "if (delta >= 0) return 0;",
  ),
  host("what begins too large is taken", "this.#checkSizes();\n", "\n"),
  host(
    "charges of the host don't end the slice",
    "if (left >= counter.value) return;",
    "if (left <= maxFuel) return;",
  ),
  host("the start function is not run", "if (start) this.run(start);", ""),
];

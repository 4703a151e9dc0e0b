import { Assembler } from "./assembler.ts";
import { type CountedLoop, countTurns, portionFuel, pushCondition, setLast } from "./counted-loops.ts";
import type { BranchHints } from "./custom-sections.ts";
import type { Helpers } from "./helpers.ts";
import { Opcode } from "./instructions.ts";

/** The code of a metered function: writes what charges, and what asks the host. */
export class MeteredCode extends Assembler {
  /** Where branches are that are likely, or not. */
  hints: BranchHints = new Map();
  readonly #fuel: number;
  readonly #helpers: Helpers;

  /** @param fuel The global with what is left of the slice. */
  constructor(fuel: number, helpers: Helpers) {
    super();
    this.#fuel = fuel;
    this.#helpers = helpers;
  }

  override clear(): void {
    super.clear();
    this.hints = new Map();
  }

  /**
   * `if`, for what seldom is.
   *
   * @param type Of the block; without parameters and results by default.
   */
  unlikelyIf(type?: number): this {
    this.hints.set(this.length, 0);
    return type === undefined ? this.if() : this.op(Opcode.if).s32(type);
  }

  charge(units: number): void {
    if (units > 0) this.globalGet(this.#fuel).i64(BigInt(units)).op(Opcode.i64Sub).globalSet(this.#fuel);
  }

  /** Asks the host when the slice has ended. */
  settle(): void {
    this.globalGet(this.#fuel).i64(0n).op(Opcode.i64LtS).unlikelyIf().call(this.#helpers.sliceEnd()).end();
  }

  check(units: number): void {
    this.charge(Math.max(1, units));
    this.settle();
  }

  /** Charges what `push` puts on the stack, an i64. */
  chargeBy(push: () => void): void {
    this.globalGet(this.#fuel);
    push();
    this.op(Opcode.i64Sub).globalSet(this.#fuel);
  }

  /** Takes a turn from the lease, and pays for another one where that is used up. */
  take(lease: number, turn: number): void {
    this.#takeTurn(lease, turn);
    this.get(lease).call(this.#helpers.lease()).set(lease).end();
  }

  /** At a function's entry: charges so many units and a first lease. */
  openLease(lease: number, fuel: number, units: number): void {
    this.charge(units + fuel);
    this.i32(fuel).set(lease);
  }

  /** The same with the leases of an interpreter, which it pays for in the loop itself. */
  takeLong(lease: number, fuel: number, turn: number): void {
    this.#takeTurn(lease, turn);
    this.charge(fuel);
    this.get(lease).i32(fuel).op(Opcode.i32Add).set(lease);
    this.settle();
    this.end();
  }

  #takeTurn(lease: number, turn: number): void {
    this.get(lease).i32(turn).op(Opcode.i32Sub).tee(lease).i32(0).op(Opcode.i32LtS).unlikelyIf();
  }

  /** Gives back what is left of a lease. */
  endLease(lease: number): void {
    this.globalGet(this.#fuel).get(lease).op(Opcode.i64ExtendI32S, Opcode.i64Add).globalSet(this.#fuel);
  }

  /**
   * Before a counted loop: pays for some turns, besides the first, which is paid. The loop that begins here makes them.
   *
   * @param turn What a turn costs.
   * @param turns Local variable for their number.
   * @param last Local variable for the counter's value after them.
   */
  portion(loop: CountedLoop, turn: number, turns: number, last: number): void {
    countTurns(this.loop(), loop, turns, Math.max(1, Math.floor(portionFuel / turn)));
    setLast(this, loop, turns, last);
    this.chargeBy(() => {
      this.get(turns).i32(1).op(Opcode.i32Sub, Opcode.i64ExtendI32U).i64(BigInt(turn)).op(Opcode.i64Mul);
    });
  }

  /** Behind a counted loop: pays for a turn, asks the host and begins again, unless it has come to its end. */
  nextPortion(loop: CountedLoop, turn: number): void {
    pushCondition(this, loop);
    this.unlikelyIf();
    this.check(turn);
    this.branch(1).end().end();
  }
}

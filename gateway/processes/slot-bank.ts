/** A process that borrows slots. */
export interface Borrower {
  grant(key: string, count: number): void;
  owe(key: string, count: number, keep: number): void;
}

interface Account {
  /** Slots that it has been lent. */
  held: number;
  /** Requests that wait for one there. */
  wanted: number;
  /** When it was lent one last, by count. */
  served: number;
}

/**
 * Lends the slots of limits that hold over all workers, in shares that follow demand: a worker is lent its even share at first, keeps what it was
 * lent, and is asked to give back when others have requests that wait. The sum of what is lent never grows above the limit.
 */
export class SlotBank<B extends Borrower> {
  readonly #limitOf: (key: string) => number;
  readonly #borrowers = new Set<B>();
  #loans = 0;
  readonly #ledgers = new Map<string, Map<B, Account>>();

  constructor(limitOf: (key: string) => number) {
    this.#limitOf = limitOf;
  }

  add(borrower: B): void {
    this.#borrowers.add(borrower);
  }

  /** It is gone, and what it held is free. */
  remove(borrower: B): void {
    this.#borrowers.delete(borrower);
    for (const [key, ledger] of this.#ledgers) if (ledger.delete(borrower)) this.settle(key);
  }

  /** For what has no slots, nothing is noted. */
  want(borrower: B, key: string, count: number): void {
    if (this.#limitOf(key) === 0) return;
    this.#account(key, borrower).wanted = count;
    this.settle(key);
  }

  /** Throws a RangeError when it gives more than it has. */
  giveBack(borrower: B, key: string, count: number, wanted: number): void {
    const account = this.#account(key, borrower);
    if (count > account.held) throw new RangeError(`gave back ${count} of ${account.held} slots`);
    account.held -= count;
    account.wanted = wanted;
    this.settle(key);
  }

  /** Lends and recalls as demand and limit, which may have changed, have it. */
  settle(key: string): void {
    const ledger = this.#ledgers.get(key);
    if (!ledger) return;
    const limit = this.#limitOf(key);
    const free = this.#lend(key, ledger, limit);
    this.#recall(key, ledger, limit, free);
    for (const [borrower, { held, wanted }] of ledger) {
      if (held === 0 && wanted === 0) ledger.delete(borrower);
    }
    if (ledger.size === 0) this.#ledgers.delete(key);
  }

  #account(key: string, borrower: B): Account {
    let ledger = this.#ledgers.get(key);
    if (!ledger) {
      ledger = new Map();
      this.#ledgers.set(key, ledger);
    }
    let account = ledger.get(borrower);
    if (!account) {
      account = { held: 0, wanted: 0, served: 0 };
      ledger.set(borrower, account);
    }
    return account;
  }

  /** Returns what is left, less than nothing when the limit has been lowered. */
  #lend(key: string, ledger: Map<B, Account>, limit: number): number {
    let free = limit;
    for (const { held } of ledger.values()) free -= held;
    const hungry = [...ledger].filter(([, { wanted }]) => wanted > 0);
    // Who has least, and among those who was served longest ago.
    hungry.sort(([, a], [, b]) => a.held - b.held || a.served - b.served);
    const share = Math.ceil(limit / Math.max(1, this.#borrowers.size));
    for (const [i, [borrower, account]] of hungry.entries()) {
      // As even as may be among those who wait; the first slots ahead, so that not each has to be asked for.
      const count = Math.min(
        Math.max(account.wanted, share - account.held),
        Math.ceil(free / (hungry.length - i)),
      );
      if (count <= 0) continue;
      free -= count;
      account.held += count;
      account.served = ++this.#loans;
      account.wanted = Math.max(0, account.wanted - count);
      borrower.grant(key, count);
    }
    return free;
  }

  #recall(key: string, ledger: Map<B, Account>, limit: number, free: number): void {
    let wanted = 0;
    for (const account of ledger.values()) wanted += account.wanted;
    // With fewer slots than claimants they go round.
    const keep = limit < ledger.size ? 0 : Math.ceil(limit / ledger.size);
    for (const [borrower, account] of ledger) {
      const count = Math.max(wanted - account.wanted, -free);
      if (account.held > 0 && count > 0) borrower.owe(key, count, keep);
    }
  }
}

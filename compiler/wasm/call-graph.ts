/** For each vertex its successors. */
export type Graph = readonly ReadonlySet<number>[];

/**
 * Cuts every cycle of a directed graph: chooses vertices (a feedback vertex set) and, for each, the edges that lead on from it along
 * cycles. Greedy: while there is a strongly connected component, it takes those with the most edges in and out for what they cost.
 *
 * The search begins anew with what is left until no cycle is, so all of them are cut; only how much that takes is heuristic (the
 * smallest set is NP-hard to find: Karp 1972).
 *
 * @param cost What cutting at a vertex costs, above 0.
 * @returns For each vertex chosen its successors that are to be cut.
 */
export function cutCycles(graph: Graph, cost: (vertex: number) => number): Map<number, Set<number>> {
  const cut = new Map<number, Set<number>>();
  const search = new CycleSearch(graph);
  let components = search.components([...graph.keys()]);
  while (components.length > 0) {
    for (const component of components) {
      for (const { vertex, inside } of costliest(component, search, cost)) cut.set(vertex, new Set(inside));
    }
    components = search.components(components.flat().filter((vertex) => !cut.has(vertex)));
  }
  return cut;
}

/** Strongly connected components that hold a cycle. */
export function cyclicComponents(graph: Graph): number[][] {
  return new CycleSearch(graph).components([...graph.keys()]);
}

/**
 * How many vertices of a component are cut at once, which otherwise would be searched once for each: a small share, and of very large
 * components, which only come from a generator, a larger one.
 */
const cutAtOnce = (size: number): number => (size < 4096 ? size >> 6 : size >> 3);

interface Candidate {
  vertex: number;
  /** Its successors in the component. */
  inside: number[];
}

function costliest(
  component: readonly number[],
  search: CycleSearch,
  cost: (vertex: number) => number,
): Candidate[] {
  const members = new Set(component);
  const incoming = new Map<number, number>();
  const candidates = component.map((vertex): Candidate => {
    const inside: number[] = [];
    for (const target of search.successors(vertex)) {
      if (!members.has(target)) continue;
      inside.push(target);
      incoming.set(target, (incoming.get(target) ?? 0) + 1);
    }
    return { vertex, inside };
  });
  const scored = candidates.map(({ vertex, inside }) => {
    const gain = (incoming.get(vertex) ?? 0) * inside.length;
    // nothing else cuts the cycle of a vertex that is its own successor
    const score = inside.includes(vertex) ? Number.POSITIVE_INFINITY : gain / cost(vertex);
    return { vertex, inside, score };
  });
  scored.sort((a, b) => (b.score === a.score ? a.vertex - b.vertex : b.score > a.score ? 1 : -1));
  const own = scored.filter(({ score }) => score === Number.POSITIVE_INFINITY).length;
  return scored.slice(0, Math.max(1, own, cutAtOnce(component.length)));
}

/** Looks for strongly connected components (Tarjan 1972, with a stack of its own), again and again in parts of one graph. */
class CycleSearch {
  /** Where the successors of each vertex begin among all of them. */
  readonly #first: Int32Array;
  readonly #targets: Int32Array;
  /** When a vertex was found in the search, from 1; 0 for those not found yet. */
  readonly #index: Int32Array;
  readonly #low: Int32Array;
  readonly #onStack: Uint8Array;
  readonly #alive: Uint8Array;
  /** Of a vertex whose successors are looked at: the next one. */
  readonly #next: Int32Array;

  constructor(graph: Graph) {
    const size = graph.length;
    this.#first = new Int32Array(size + 1);
    for (const [vertex, { size }] of graph.entries()) this.#first[vertex + 1] = this.#first[vertex]! + size;
    this.#targets = new Int32Array(this.#first[size]!);
    let at = 0;
    for (const successors of graph) for (const target of successors) this.#targets[at++] = target;
    this.#index = new Int32Array(size);
    this.#low = new Int32Array(size);
    this.#next = new Int32Array(size);
    this.#onStack = new Uint8Array(size);
    this.#alive = new Uint8Array(size);
  }

  successors(vertex: number): Int32Array {
    return this.#targets.subarray(this.#first[vertex]!, this.#first[vertex + 1]!);
  }

  /** Those that hold a cycle, among these vertices. */
  components(vertices: readonly number[]): number[][] {
    const found: number[][] = [];
    const stack: number[] = [];
    const work: number[] = [];
    let count = 0;
    this.#alive.fill(0);
    this.#index.fill(0);
    for (const vertex of vertices) this.#alive[vertex] = 1;
    const open = (vertex: number): void => {
      this.#index[vertex] = this.#low[vertex] = ++count;
      this.#next[vertex] = this.#first[vertex]!;
      this.#onStack[vertex] = 1;
      stack.push(vertex);
      work.push(vertex);
    };
    for (const root of vertices) {
      if (this.#index[root] !== 0) continue;
      open(root);
      while (work.length > 0) {
        const vertex = work[work.length - 1]!;
        const target = this.#step(vertex);
        if (target >= 0) {
          open(target);
          continue;
        }
        work.pop();
        const caller = work[work.length - 1];
        if (caller !== undefined) this.#lower(caller, this.#low[vertex]!);
        if (this.#low[vertex] !== this.#index[vertex]) continue;
        const component = stack.splice(stack.lastIndexOf(vertex));
        for (const member of component) this.#onStack[member] = 0;
        if (component.length > 1 || this.successors(vertex).includes(vertex)) found.push(component);
      }
    }
    return found;
  }

  /** Goes on along a vertex's edges to the next successor that was not found yet; -1 when there is none left. */
  #step(vertex: number): number {
    const end = this.#first[vertex + 1]!;
    while (this.#next[vertex]! < end) {
      const target = this.#targets[this.#next[vertex]!++]!;
      if (this.#alive[target] === 0) continue;
      if (this.#index[target] === 0) return target;
      if (this.#onStack[target] === 1) this.#lower(vertex, this.#index[target]!);
    }
    return -1;
  }

  #lower(vertex: number, value: number): void {
    if (value < this.#low[vertex]!) this.#low[vertex] = value;
  }
}

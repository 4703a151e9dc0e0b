/** For each vertex its successors. */
export type Graph = readonly { keys(): Iterable<number>; has(vertex: number): boolean }[];

/** Share of a component that is cut at once, as a power of two: large ones would otherwise be searched once for each vertex. */
const cutAtOnceLog2 = 6;

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
  let candidates = [...graph.keys()];
  for (;;) {
    const components = cyclicComponents(graph, candidates, cut);
    if (components.length === 0) return cut;
    for (const component of components) {
      for (const { vertex, inside } of costliest(component, graph, cost)) cut.set(vertex, new Set(inside));
    }
    candidates = components.flat();
  }
}

interface Candidate {
  vertex: number;
  /** Its successors in the component. */
  inside: number[];
}

function costliest(
  component: readonly number[],
  graph: Graph,
  cost: (vertex: number) => number,
): Candidate[] {
  const members = new Set(component);
  const incoming = new Map<number, number>();
  const candidates = component.map((vertex): Candidate => {
    const inside = [...graph[vertex]!.keys()].filter((target) => members.has(target));
    for (const target of inside) incoming.set(target, (incoming.get(target) ?? 0) + 1);
    return { vertex, inside };
  });
  const scored = candidates.map(({ vertex, inside }) => {
    const gain = (incoming.get(vertex) ?? 0) * inside.length;
    // nothing else cuts the cycle of a vertex that is its own successor
    const score = graph[vertex]!.has(vertex) ? Number.POSITIVE_INFINITY : gain / cost(vertex);
    return { vertex, inside, score };
  });
  scored.sort((a, b) => (b.score === a.score ? a.vertex - b.vertex : b.score > a.score ? 1 : -1));
  const own = scored.findIndex(({ score }) => score !== Number.POSITIVE_INFINITY);
  return scored.slice(0, Math.max(1, own, component.length >> cutAtOnceLog2));
}

/**
 * Strongly connected components that hold a cycle (Tarjan 1972, with a stack of its own).
 *
 * @param vertices Those that are looked at; default: all.
 * @param removed Vertices that are no longer there.
 */
export function cyclicComponents(
  graph: Graph,
  vertices: Iterable<number> = graph.keys(),
  removed: { has(vertex: number): boolean } = new Set(),
): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const onStack = new Set<number>();
  const stack: number[] = [];
  const found: number[][] = [];
  const alive = new Set<number>();
  for (const vertex of vertices) if (!removed.has(vertex)) alive.add(vertex);

  const open = (vertex: number): { vertex: number; targets: number[]; next: number } => {
    index.set(vertex, index.size);
    low.set(vertex, index.get(vertex)!);
    stack.push(vertex);
    onStack.add(vertex);
    const targets = [...graph[vertex]!.keys()].filter((target) => alive.has(target));
    return { vertex, targets, next: 0 };
  };
  const lower = (vertex: number, value: number): void => {
    if (value < low.get(vertex)!) low.set(vertex, value);
  };

  for (const root of alive) {
    if (index.has(root)) continue;
    const work = [open(root)];
    while (work.length > 0) {
      const frame = work[work.length - 1]!;
      const { vertex, targets } = frame;
      if (frame.next < targets.length) {
        const target = targets[frame.next++]!;
        if (!index.has(target)) work.push(open(target));
        else if (onStack.has(target)) lower(vertex, index.get(target)!);
        continue;
      }
      work.pop();
      const caller = work[work.length - 1];
      if (caller) lower(caller.vertex, low.get(vertex)!);
      if (low.get(vertex) !== index.get(vertex)) continue;
      const component: number[] = [];
      let member: number;
      do {
        member = stack.pop()!;
        onStack.delete(member);
        component.push(member);
      } while (member !== vertex);
      if (component.length > 1 || targets.includes(vertex)) found.push(component);
    }
  }
  return found;
}

/** Vertices and edges without which a graph has no cycle. */
export interface Cut {
  vertices: Set<number>;
  /** By the vertex that they leave. */
  edges: Map<number, Set<number>>;
}

/** Share of a component that is cut at once: large ones would otherwise be searched once for each vertex. */
const cutAtOnceLog2 = 6;

/**
 * Cuts every cycle of a directed graph, by taking vertices out (a feedback vertex set) or, where a vertex is expected to
 * be entered more often than it goes on to the others of its cycles, only the edges that leave it for them.
 * Greedy: while there is a strongly connected component, it takes those with the most edges in and out for what they cost.
 *
 * The search begins anew with what is left until no cycle is, so all of them are cut; only how many vertices that takes is
 * heuristic (the smallest set is NP-hard to find: Karp 1972).
 *
 * @param edges For each vertex its successors, with how often an execution of the vertex is expected to go there.
 * @param weight What an execution of a vertex costs; a check is a smaller part of a larger one.
 */
export function cutCycles(
  edges: readonly ReadonlyMap<number, number>[],
  weight: (vertex: number) => number,
): Cut {
  const cut: Cut = { vertices: new Set(), edges: new Map() };
  const isCut = (from: number, to: number): boolean => cut.edges.get(from)?.has(to) ?? false;
  let candidates = edges.map((_, vertex) => vertex);
  for (;;) {
    const components = cyclicComponents(candidates, edges, cut.vertices, isCut);
    if (components.length === 0) return cut;
    for (const component of components) {
      for (const { vertex, inside } of costliest(component, edges, weight, isCut)) {
        const onward = inside.reduce((sum, target) => sum + edges[vertex]!.get(target)!, 0);
        if (onward >= 1) cut.vertices.add(vertex);
        else {
          const known = cut.edges.get(vertex) ?? new Set();
          for (const target of inside) known.add(target);
          cut.edges.set(vertex, known);
        }
      }
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
  edges: readonly ReadonlyMap<number, number>[],
  weight: (vertex: number) => number,
  isCut: (from: number, to: number) => boolean,
): Candidate[] {
  const members = new Set(component);
  const incoming = new Map<number, number>();
  const inside = new Map<number, number[]>();
  for (const vertex of component) {
    const targets: number[] = [];
    for (const target of edges[vertex]!.keys()) {
      if (!members.has(target) || isCut(vertex, target)) continue;
      targets.push(target);
      incoming.set(target, (incoming.get(target) ?? 0) + 1);
    }
    inside.set(vertex, targets);
  }
  const scored = component.map((vertex) => {
    const targets = inside.get(vertex)!;
    const onward = targets.reduce((sum, target) => sum + edges[vertex]!.get(target)!, 0);
    const gain = (incoming.get(vertex) ?? 0) * targets.length * Math.log2(2 + weight(vertex));
    // nothing else cuts the cycle of a vertex that is its own successor
    const score = targets.includes(vertex) ? Number.POSITIVE_INFINITY : gain / (Math.min(1, onward) + 0.1);
    return { vertex, inside: targets, score };
  });
  scored.sort((a, b) => (b.score === a.score ? a.vertex - b.vertex : b.score > a.score ? 1 : -1));
  const own = scored.findIndex(({ score }) => score !== Number.POSITIVE_INFINITY);
  return scored.slice(0, Math.max(1, own, component.length >> cutAtOnceLog2));
}

/** Strongly connected components that hold a cycle, without what is cut. Tarjan 1972, with its own stack. */
function cyclicComponents(
  vertices: readonly number[],
  edges: readonly ReadonlyMap<number, number>[],
  removed: ReadonlySet<number>,
  isCut: (from: number, to: number) => boolean,
): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const onStack = new Set<number>();
  const stack: number[] = [];
  const found: number[][] = [];
  const alive = new Set(vertices);
  for (const vertex of removed) alive.delete(vertex);

  const open = (vertex: number): { vertex: number; targets: number[]; next: number } => {
    index.set(vertex, index.size);
    low.set(vertex, index.get(vertex)!);
    stack.push(vertex);
    onStack.add(vertex);
    const targets = [...edges[vertex]!.keys()].filter(
      (target) => alive.has(target) && !isCut(vertex, target),
    );
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

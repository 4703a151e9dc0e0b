/**
 * Chooses functions so that every cycle of a directed graph passes through at least one of them (a feedback vertex set).
 * Greedy: while there is a strongly connected component, take from it the vertex with the most edges in and out,
 * preferring heavy ones, whose check is a smaller part of their work.
 *
 * The set is found anew for what is left until no cycle is, so it always cuts all of them; only its size is heuristic
 * (the smallest one is NP-hard: Karp 1972).
 */
export function cutCycles(
  edges: readonly (readonly number[])[],
  weight: (vertex: number) => number,
): Set<number> {
  const cut = new Set<number>();
  let candidates = edges.map((_, vertex) => vertex);
  for (;;) {
    const components = cyclicComponents(candidates, (vertex) => edges[vertex]!, cut);
    if (components.length === 0) return cut;
    for (const component of components) cut.add(heaviest(component, edges, weight));
    candidates = components.flat();
  }
}

function heaviest(
  component: readonly number[],
  edges: readonly (readonly number[])[],
  weight: (vertex: number) => number,
): number {
  const members = new Set(component);
  const incoming = new Map<number, number>();
  const outgoing = new Map<number, number>();
  for (const vertex of component) {
    for (const target of edges[vertex]!) {
      if (!members.has(target)) continue;
      if (target === vertex) return vertex; // calls itself: nothing else cuts that
      incoming.set(target, (incoming.get(target) ?? 0) + 1);
      outgoing.set(vertex, (outgoing.get(vertex) ?? 0) + 1);
    }
  }
  let best = component[0]!;
  let bestScore = -1;
  for (const vertex of component) {
    const score = (incoming.get(vertex) ?? 0) * (outgoing.get(vertex) ?? 0) * Math.log2(2 + weight(vertex));
    if (score > bestScore) {
      bestScore = score;
      best = vertex;
    }
  }
  return best;
}

/** Strongly connected components that hold a cycle, without the vertices of `removed`. Tarjan 1972, with its own stack. */
function cyclicComponents(
  vertices: readonly number[],
  edgesOf: (vertex: number) => readonly number[],
  removed: ReadonlySet<number>,
): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const onStack = new Set<number>();
  const stack: number[] = [];
  const found: number[][] = [];
  const alive = new Set(vertices);
  for (const vertex of removed) alive.delete(vertex);

  const open = (vertex: number): { vertex: number; next: number } => {
    index.set(vertex, index.size);
    low.set(vertex, index.get(vertex)!);
    stack.push(vertex);
    onStack.add(vertex);
    return { vertex, next: 0 };
  };
  const lower = (vertex: number, value: number): void => {
    if (value < low.get(vertex)!) low.set(vertex, value);
  };

  for (const root of alive) {
    if (index.has(root)) continue;
    const work = [open(root)];
    while (work.length > 0) {
      const frame = work[work.length - 1]!;
      const { vertex } = frame;
      const targets = edgesOf(vertex);
      if (frame.next < targets.length) {
        const target = targets[frame.next++]!;
        if (!alive.has(target)) continue;
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

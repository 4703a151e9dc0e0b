import type { Deployer } from "./admin/deployer.ts";
import type { Catalog } from "./catalog.ts";
import type { Logger } from "./log.ts";
import type { Store } from "./store/open.ts";

/** Keeps this server at what other servers on the same database make of functions and keys. */
export function followChanges({
  store,
  catalog,
  deployer,
  log,
}: {
  store: Pick<Store, "follow" | "functions">;
  catalog: Catalog;
  deployer: Pick<Deployer, "refresh">;
  log: Logger;
}): void {
  const failed = (err: unknown) => log.warn({ err }, "changes by other servers cannot be followed");
  const refresh = (names: Iterable<string>) => {
    for (const name of names) deployer.refresh(name).catch(failed);
  };
  /** Those that show keys carry them. */
  const keysChanged = () =>
    refresh(
      catalog
        .list()
        .filter(({ keys }) => keys !== null)
        .map(({ name }) => name),
    );
  store.follow({
    changed: (name) => refresh([name]),
    keysChanged,
    missed: () => {
      keysChanged();
      changedSince(store, catalog).then(refresh, failed);
    },
    failed,
  });
}

async function changedSince(store: Pick<Store, "functions">, catalog: Catalog): Promise<Set<string>> {
  const gone = new Set(catalog.list().map(({ name }) => name));
  const different = new Set<string>();
  for (const { name, id, revision } of await store.functions.revisions()) {
    gone.delete(name);
    const known = catalog.find(name);
    if (known?.id !== id || known.revision !== revision) different.add(name);
  }
  return different.union(gone);
}

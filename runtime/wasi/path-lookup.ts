import { Errno, refuse } from "./errno.ts";
import { DirectoryNode, LinkNode, type Node } from "./file-system.ts";

/** Symbolic links that one lookup may go through. */
const maxLinks = 40;

/** Where a path leads. */
export interface Found {
  /** The folder that holds the last name. */
  folder: DirectoryNode;
  /** The last name; empty when the path ends in a folder itself: `.`, `a/..`. */
  name: string;
  /** What is there. */
  node: Node | undefined;
  /** The path ended in `/`: only a folder will do. */
  slash: boolean;
}

/**
 * Follows a path from a folder, never out of it: neither by `..`, nor by a link. `through` hears of the links on the way.
 *
 * @throws Refusal `noent`, `notdir`, `loop`; `notcapable` for a path that leads out.
 */
export function lookUp(
  from: DirectoryNode,
  path: string,
  follow: boolean,
  through: (link: LinkNode) => void,
): Found {
  if (path === "") refuse(Errno.noent);
  const slash = path.endsWith("/");
  const folders = [from];
  const rest = partsOf(path);
  let links = 0;
  for (;;) {
    const folder = folders.at(-1)!;
    const name = rest.pop();
    if (name === undefined) return { folder, name: "", node: folder, slash };
    if (name === "..") {
      if (folders.length === 1) refuse(Errno.notcapable);
      folders.pop();
      continue;
    }
    const node = folder.get(name);
    const last = rest.length === 0;
    if (node instanceof LinkNode && (!last || follow || slash)) {
      if (++links > maxLinks) refuse(Errno.loop);
      through(node);
      rest.push(...partsOf(node.target));
    } else if (last) {
      return { folder, name, node, slash };
    } else if (node instanceof DirectoryNode) {
      folders.push(node);
    } else {
      refuse(node === undefined ? Errno.noent : Errno.notdir);
    }
  }
}

/** A path's names, the last one first. */
function partsOf(path: string): string[] {
  if (path.startsWith("/")) refuse(Errno.notcapable);
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .reverse();
}

/** Which files an `accept` takes, which were dropped, and where in their folder they lay. */

const paths = new WeakMap();

/** "holiday/day one/beach.jpg" for a file that came in a folder, else ''. */
export function pathOf(file) {
  return file.webkitRelativePath || (paths.get(file) ?? '');
}

/** Whether a file is of a kind that `accept` names (HTML, 4.10.5.1.17). */
export function accepts(accept, { name, type }) {
  const kinds = accept
    .toLowerCase()
    .split(',')
    .map((kind) => kind.trim());
  const fits = (kind) => {
    if (kind.startsWith('.')) return name.toLowerCase().endsWith(kind);
    return kind.endsWith('/*') ? type.startsWith(kind.slice(0, -1)) : type === kind;
  };
  return !accept.trim() || kinds.filter(Boolean).some(fits);
}

/** The files that were dropped, also those in folders. */
export async function filesIn(transfer) {
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some(({ isDirectory }) => isDirectory)) return files;
  return (await Promise.all(entries.map(filesBelow))).flat();
}

async function filesBelow(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    const path = entry.fullPath.replace(/^\//, '');
    if (path.includes('/')) paths.set(file, path);
    return [file];
  }
  const reader = entry.createReader();
  const below = [];
  for (;;) {
    // A browser gives a hundred at a time, and none at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return (await Promise.all(below.map(filesBelow))).flat();
    below.push(...some);
  }
}

/** Files of unfinished uploads, in IndexedDB: after a reload nobody has to choose them again. */

const DATABASE = 'resumable-files';
const STORE = 'files';

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'key' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function transact(mode, work) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** Keeps a run's file handle, which costs nothing, or its blob, which the browser copies. */
export async function keep({ key, blob, filename, options: { handle }, size }, baseUrl, options) {
  const what = handle ? { handle } : { blob };
  const told = JSON.parse(JSON.stringify(options));
  const entry = { key, filename, size, baseUrl, time: Date.now(), options: told, ...what };
  try {
    await transact('readwrite', (store) => store.put(entry));
  } catch {
    // No room for it: after a reload the file has to be chosen again.
  }
}

export async function drop(key) {
  try {
    await transact('readwrite', (store) => store.delete(key));
  } catch {
    // A browser without IndexedDB has kept nothing.
  }
}

/** The entries for one server, oldest first. */
export async function kept(baseUrl) {
  const entries = await transact('readonly', (store) => store.getAll());
  return entries.filter((entry) => entry.baseUrl === baseUrl).sort((a, b) => a.time - b.time);
}

/** The file of an entry. A handle may need the user's leave: call it from a click. */
export async function fileOf({ blob, handle }) {
  if (!handle) return blob;
  const mode = { mode: 'read' };
  const state = (await handle.queryPermission?.(mode)) ?? 'granted';
  if (state !== 'granted' && (await handle.requestPermission(mode)) !== 'granted') {
    throw new DOMException('The file may not be read; choose it again.', 'NotAllowedError');
  }
  return handle.getFile();
}

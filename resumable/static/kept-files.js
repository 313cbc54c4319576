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

/** A handle costs nothing; a blob is copied by the browser, and a full disk refuses it. */
export function keep(entry) {
  return transact('readwrite', (store) => store.put(entry));
}

export function drop(key) {
  return transact('readwrite', (store) => store.delete(key));
}

export function kept() {
  return transact('readonly', (store) => store.getAll());
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

/** Which upload a blob belongs to: its fingerprint, and the ids that outlive the page. */

const SAMPLE_SIZE = 64 * 1024;
const MEMORY_SPAN = 30 * 24 * 60 * 60 * 1000;
const PREFIX = 'resumable:';

/** Names a blob by what it is and how it begins and ends, so that the same one is known again. */
export async function fingerprint(blob, filename, baseUrl) {
  const { name = filename, type, size, lastModified = 0 } = blob;
  const label = [baseUrl, name, type, size, lastModified].join('\n');
  const tail = blob.slice(Math.max(SAMPLE_SIZE, size - SAMPLE_SIZE));
  const sample = new Blob([label, blob.slice(0, SAMPLE_SIZE), tail]);
  return PREFIX + (await nameOf(await sample.arrayBuffer()));
}

async function nameOf(buffer) {
  if (globalThis.crypto?.subtle) return hex(await crypto.subtle.digest('SHA-256', buffer));
  // Plain http has no Web Crypto; two small hashes are enough to tell one's own files apart.
  let [left, right] = [0x811c9dc5, 0x9747b28c];
  for (const byte of new Uint8Array(buffer)) {
    left = Math.imul(left ^ byte, 0x01000193);
    right = Math.imul(right ^ byte, 0x5bd1e995);
  }
  return [left, right].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

export function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function recall(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

export function remember(storage, key, { uploadId, chunkSize }) {
  try {
    storage.setItem(key, JSON.stringify({ uploadId, chunkSize, time: Date.now() }));
    removeOld(storage);
  } catch {
    // A full or forbidden storage costs the resume after a reload, not the upload.
  }
}

/** localStorage, or a memory that ends with the page where the browser forbids it. */
export function browserStorage() {
  try {
    localStorage.setItem(`${PREFIX}probe`, '{}');
    localStorage.removeItem(`${PREFIX}probe`);
    return localStorage;
  } catch {
    const entries = new Map();
    return {
      getItem: (key) => entries.get(key) ?? null,
      setItem: (key, value) => entries.set(key, value),
      removeItem: (key) => entries.delete(key),
    };
  }
}

/** Drops entries that are older than a server keeps an unfinished upload. */
function removeOld(storage) {
  for (const key of Object.keys(storage).filter((name) => name.startsWith(PREFIX))) {
    const { time = Date.now() } = recall(storage, key) ?? {};
    if (Date.now() - time > MEMORY_SPAN) storage.removeItem(key);
  }
}

/** Runs `work` while no other tab works on `key`; `waiting` is told when it has to wait for that. */
export async function alone(run, key, waiting, work) {
  const locks = globalThis.navigator?.locks;
  if (!key || !locks) return work();
  const mine = (lock) => lock && work().then((value) => ({ value }));
  let done = await locks.request(key, { ifAvailable: true }, mine);
  while (!done) {
    await run.ready();
    waiting();
    const controller = new AbortController();
    let granted = false;
    const begin = (lock) => {
      granted = true;
      run.requests.delete(controller);
      return mine(lock);
    };
    run.requests.add(controller);
    try {
      done = await locks.request(key, { signal: controller.signal }, begin);
    } catch (error) {
      if (granted || !controller.signal.aborted) throw error;
    } finally {
      run.requests.delete(controller);
    }
  }
  return done.value;
}

/** Does another tab wait for its turn with `key`? It will want to know which upload it was. */
export async function awaited(key) {
  const { pending = [] } = (await globalThis.navigator?.locks?.query()) ?? {};
  return pending.some(({ name }) => name === key);
}

/**
 * What this browser keeps, so that a reload or a crash loses nothing: recordings with those slices
 * that the server has not acknowledged yet, and files on their way.
 *
 * A recording is `{id, endpoint, name, type, options, created, size, duration, ended, …}`, a slice
 * `{recording, start, end, blob}` in bytes of the recording, a file `{id, owner, name, …, blob}`.
 */

const DATABASE = 'resumable';
const NAMES = ['recordings', 'slices', 'files'];

let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('recordings', { keyPath: 'id' });
      request.result.createObjectStore('slices', { keyPath: ['recording', 'start'] });
      request.result.createObjectStore('files', { keyPath: 'id' });
    };
    request.onsuccess = () => {
      const database = request.result;
      // Another tab has a newer version of this module: it must not wait for us.
      database.onversionchange = () => database.close();
      database.onclose = () => (opened = undefined);
      resolve(database);
    };
    request.onerror = () => reject(request.error);
  });
  opened.catch(() => (opened = undefined));
  return opened;
}

/** Runs `work` in one transaction; resolves with its request's result when that is on the disk. */
async function transact(mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(NAMES, mode, { durability: 'strict' });
    const request = work((name) => transaction.objectStore(name));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Tells `change` when the list of recordings changes, in this tab or another. */
export const changes = new EventTarget();
const channel =
  globalThis.BroadcastChannel && globalThis.window ? new BroadcastChannel(DATABASE) : null;
if (channel) channel.onmessage = () => changes.dispatchEvent(new Event('change'));

async function told(work) {
  const result = await work;
  channel?.postMessage('change');
  changes.dispatchEvent(new Event('change'));
  return result;
}

function slicesOf(recording) {
  return IDBKeyRange.bound([recording], [recording, []]);
}

export function putRecording(recording) {
  return told(transact('readwrite', (store) => store('recordings').put(recording)));
}

/** Changes some fields; resolves with the whole, or undefined when there is no such recording. */
export async function changeRecording(id, fields) {
  let changed;
  const work = transact('readwrite', (store) => {
    store('recordings').get(id).onsuccess = ({ target }) => {
      if (!target.result) return;
      changed = { ...target.result, ...fields };
      store('recordings').put(changed);
    };
  });
  await told(work);
  return changed;
}

export function getRecording(id) {
  return transact('readonly', (store) => store('recordings').get(id));
}

export function allRecordings() {
  return transact('readonly', (store) => store('recordings').getAll());
}

export function dropRecording(id) {
  const work = transact('readwrite', (store) => {
    store('recordings').delete(id);
    store('slices').delete(slicesOf(id));
  });
  return told(work);
}

/** A slice and the size that the recording has with it, both or neither. */
export function putSlice({ recording, start, end, blob }, fields = {}) {
  return transact('readwrite', (store) => {
    store('slices').put({ recording, start, end, blob });
    store('recordings').get(recording).onsuccess = ({ target }) => {
      if (target.result) store('recordings').put({ ...target.result, ...fields, size: end });
    };
  });
}

/** In the order of the recording. */
export function getSlices(recording) {
  return transact('readonly', (store) => store('slices').getAll(slicesOf(recording)));
}

/** Removes the slices that end at `offset` or before: the server has them. */
export function dropSlices(recording, offset = Infinity) {
  return transact('readwrite', (store) => {
    store('slices').openCursor(slicesOf(recording)).onsuccess = ({
      target: { result: cursor },
    }) => {
      if (!cursor || cursor.value.end > offset) return;
      cursor.delete();
      cursor.continue();
    };
  });
}

/** Bytes of all slices that are still here, by recording. */
export async function bytesKept() {
  const bytes = new Map();
  await transact('readonly', (store) => {
    store('slices').openCursor().onsuccess = ({ target: { result: cursor } }) => {
      if (!cursor) return;
      const { recording, start, end } = cursor.value;
      bytes.set(recording, (bytes.get(recording) ?? 0) + end - start);
      cursor.continue();
    };
  });
  return bytes;
}

export function putFile(file) {
  return transact('readwrite', (store) => store('files').put(file));
}

export function getFile(id) {
  return transact('readonly', (store) => store('files').get(id));
}

export function dropFile(id) {
  return transact('readwrite', (store) => store('files').delete(id));
}

export async function filesOf(owner) {
  const files = await transact('readonly', (store) => store('files').getAll());
  return files.filter((file) => file.owner === owner);
}

/** Runs `work(lock)` while no other tab of this origin works on `id`; waits until it may. */
export function whenOurs(id, work, options = {}) {
  return navigator.locks ? navigator.locks.request(`resumable:${id}`, options, work) : work({});
}

/** The ids that some tab works on at this moment. */
export async function idsAtWork() {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return new Set(held.map(({ name }) => name.replace(/^resumable:/, '')));
}

/** Where the server's routes begin: what stands before the folder that this module came from. */
export function ownEndpoint(url = import.meta.url) {
  const [base, rest] = url.split('/resumable/static/');
  return rest === undefined ? '' : base;
}

/** 128 random bits; `crypto.randomUUID` is missing on pages that come by plain http. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A promise and what settles it; `Promise.withResolvers` is younger than browsers in use. */
export function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

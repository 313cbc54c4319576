/** What must survive a reload or a crash of the page: slices of recordings, and uploads to finish. */

const DATABASE = 'resumable-demo';

const opened = new Promise((resolve, reject) => {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('uploads', { keyPath: 'id' });
    const slices = request.result.createObjectStore('slices', { autoIncrement: true });
    slices.createIndex('recording', 'recording');
  };
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
opened.catch(() => {});

/** Runs `work` in one transaction; resolves with its request's result when it is committed. */
async function transact(names, mode, work) {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(names, mode, { durability: 'strict' });
    const request = work(transaction);
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

function dropSlices(transaction, recording) {
  const slices = transaction.objectStore('slices');
  slices.index('recording').getAllKeys(recording).onsuccess = ({ target }) => {
    for (const key of target.result) slices.delete(key);
  };
}

/** One piece of a recording that still runs. */
export function keepSlice(recording, about, blob) {
  return transact('slices', 'readwrite', (transaction) =>
    transaction.objectStore('slices').add({ recording, about, blob }),
  );
}

/** An upload `{id, name, type, size, lastModified, recorded, blob}`; it replaces the slices. */
export function keepUpload(upload) {
  return transact(['uploads', 'slices'], 'readwrite', (transaction) => {
    transaction.objectStore('uploads').put(upload);
    dropSlices(transaction, upload.id);
  });
}

export function dropUpload(id) {
  return transact(['uploads', 'slices'], 'readwrite', (transaction) => {
    transaction.objectStore('uploads').delete(id);
    dropSlices(transaction, id);
  });
}

export function keptUpload(id) {
  return transact('uploads', 'readonly', (transaction) =>
    transaction.objectStore('uploads').get(id),
  );
}

export function keptUploads() {
  return transact('uploads', 'readonly', (transaction) =>
    transaction.objectStore('uploads').getAll(),
  );
}

/** The ids of recordings that never came to their stop. */
export async function brokenRecordings() {
  const slices = await transact('slices', 'readonly', (transaction) =>
    transaction.objectStore('slices').getAll(),
  );
  return [...new Set(slices.map(({ recording }) => recording))];
}

/** Makes an upload of the slices of a recording that was cut short; null when there are none. */
export async function mendRecording(recording) {
  const slices = await transact('slices', 'readonly', (transaction) =>
    transaction.objectStore('slices').index('recording').getAll(recording),
  );
  if (!slices.length) return null;
  const { name, type } = slices[0].about;
  const blob = new Blob(
    slices.map((slice) => slice.blob),
    { type },
  );
  const upload = { id: recording, name, type, size: blob.size, recorded: true, blob };
  await keepUpload(upload);
  return upload;
}

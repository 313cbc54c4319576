/**
 * Resumable uploads from a browser: one class, no dependency, no build step.
 *
 * A blob is cut into chunks, a few of them travel at a time, and only what the server does not have
 * yet is sent: after a lost connection, a reload of the page, a restart of the server.
 *
 *     import { ChunkedUploader } from './chunked-upload.js';
 *     const uploader = new ChunkedUploader({ onProgress: ({ progress }) => (bar.value = progress) });
 *     const { url } = await uploader.smartUpload(file, file.name);
 *
 * Sizes are bytes, times are milliseconds unless chunked-upload.d.ts says otherwise.
 */

const MIB = 1024 * 1024;
const SAMPLE_SIZE = 64 * 1024;
const SPEED_SPAN = 5000;
const OFFLINE_PROBE = 30_000;
const MEMORY_SPAN = 30 * 24 * 60 * 60 * 1000;
const PREFIX = 'resumable:';
const RETRIED = new Set([408, 422, 423, 425, 429, 460]);
const FINAL = new Set([501, 505]);
const OWN_OPTIONS = ['chunkThreshold', 'maxConcurrent', 'resumable', 'signal'];

/** Why a request failed. `status` is 0 without an answer; a `transient` failure may pass by itself. */
export class UploadError extends Error {
  name = 'UploadError';

  constructor(message, { status = 0, code = 'network', transient = false, retryAfter } = {}) {
    super(message);
    Object.assign(this, { status, code, transient, retryAfter });
  }
}

/** What `pause()` makes of the requests that it drops; never leaves this module. */
const PAUSED = new UploadError('The upload is paused.', { code: 'paused', transient: true });

/** One blob on its way: may it send, and how far has it come. */
class Run {
  phase = 'uploading';
  acknowledged = 0;
  loaded = 0;
  totalChunks = 1;
  chunksCompleted = 0;
  sent = new Map();
  samples = [];
  requests = new Set();
  sleepers = new Set();
  recovery = null;
  paused = false;
  stopped = false;
  halted = null;

  constructor(blob, filename, options) {
    Object.assign(this, { blob, filename, options, size: blob?.size ?? 0 });
  }

  /** The user's wish: no more of this upload. */
  stop(reason) {
    this.stopped = true;
    this.halt(reason);
  }

  /** Whoever works for this run gets `reason` as its error. */
  halt(reason) {
    this.halted ??= reason;
    this.interrupt();
  }

  interrupt() {
    for (const request of this.requests) request.abort();
    this.wake();
  }

  wake() {
    for (const sleeper of this.sleepers) sleeper();
    this.sleepers.clear();
  }

  /** Resolves after `delay`, or at the next `wake()`. */
  sleep(delay) {
    return new Promise((resolve) => {
      this.sleepers.add(resolve);
      if (delay !== undefined) setTimeout(resolve, delay);
    });
  }

  /** Resolves when requests may be sent. */
  async ready() {
    while (this.paused && !this.halted) await this.sleep();
    if (this.halted) throw this.halted;
  }
}

export class ChunkedUploader {
  #runs = new Set();
  #limits = null;

  constructor(options = {}) {
    this.chunkSize = options.chunkSize;
    this.maxRetries = options.maxRetries ?? 3;
    this.retryDelay = options.retryDelay ?? 1000;
    this.maxRetryDelay = options.maxRetryDelay ?? 30_000;
    this.timeout = options.timeout ?? 60_000;
    this.maxConcurrent = options.maxConcurrent ?? 3;
    this.baseUrl = (options.baseUrl ?? '').replace(/\/+$/, '');
    this.headers = options.headers ?? {};
    this.withCredentials = options.withCredentials ?? false;
    this.storage = options.storage === undefined ? browserStorage() : options.storage;
    for (const name of ['onProgress', 'onError', 'onComplete', 'onRetry']) {
      this[name] = options[name] ?? (() => {});
    }
  }

  /** A new id with 128 random bits: who does not know it cannot touch the upload. */
  generateUploadId() {
    const text = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
    return `upload_${text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`;
  }

  /** The slices of `blob`, in order; all but the last have `chunkSize` bytes. */
  createChunks(blob, chunkSize = this.chunkSize ?? MIB) {
    const count = Math.ceil(blob.size / chunkSize);
    const slice = (_, index) => blob.slice(index * chunkSize, (index + 1) * chunkSize);
    return Array.from({ length: count }, slice);
  }

  /** Direct for a small blob, in chunks for a big one. */
  smartUpload(blob, filename, options = {}) {
    const direct = blob.size <= (options.chunkThreshold ?? 5 * MIB);
    return this[direct ? 'uploadDirect' : 'upload'](blob, filename, options);
  }

  /** The whole blob in one request; a lost connection sends it again from its start. */
  uploadDirect(blob, filename = blob.name ?? '', options = {}) {
    return this.#track(new Run(blob, filename, options), (run) => this.#direct(run));
  }

  /** In chunks; goes on where an earlier try with the same blob stopped. */
  upload(blob, filename = blob.name ?? '', options = {}) {
    if (!blob.size) return this.uploadDirect(blob, filename, options);
    return this.#track(new Run(blob, filename, options), (run) => this.#chunked(run));
  }

  /** One chunk in one request, without a retry. `position` says where its bytes belong. */
  uploadChunk(chunk, chunkIndex, uploadId, totalChunks, { start, chunkSize, total } = {}) {
    const headers = chunkHeaders(
      { uploadId, totalChunks, chunkSize, size: total },
      { index: chunkIndex, start, end: start + chunk.size },
    );
    return this.#request(null, 'PUT', '/upload-chunk', headers, chunk);
  }

  /** `{exists: true, ...status}` or `{exists: false}`, with `error` when the server did not say. */
  async checkUploadStatus(uploadId) {
    try {
      const status = await this.#status(null, uploadId);
      return status ? { exists: true, ...status } : { exists: false };
    } catch (error) {
      return { exists: false, error: error.message };
    }
  }

  /** Makes one file of an upload's chunks; asking again gives the same answer. */
  finalizeUpload(uploadId, filename, options = {}) {
    return this.#finalize(null, { uploadId, filename, options: forServer(options) });
  }

  /** Stops sending until `resume()`; what was sent is kept. Without an id: every upload. */
  pause(uploadId) {
    for (const run of this.#find(uploadId)) {
      run.paused = true;
      run.interrupt();
    }
  }

  /** Goes on after `pause()`; also ends a wait before the next try. */
  resume(uploadId) {
    for (const run of this.#find(uploadId)) {
      run.paused = false;
      run.wake();
    }
  }

  /** Gives up here; the server keeps what it has, and the same blob can go on from there. */
  abort(uploadId) {
    const reason = new DOMException('The upload was stopped.', 'AbortError');
    for (const run of this.#find(uploadId)) run.stop(reason);
  }

  /** Gives up and deletes what the server has. */
  async cancel(uploadId) {
    const runs = this.#find(uploadId);
    this.abort(uploadId);
    await Promise.all(runs.map((run) => run.settled));
    for (const run of runs) this.#forget(run);
    const ids = new Set([uploadId, ...runs.map((run) => run.uploadId)].filter(Boolean));
    await Promise.all([...ids].map((id) => this.#delete(id)));
  }

  #find(uploadId) {
    return [...this.#runs].filter((run) => !uploadId || run.uploadId === uploadId);
  }

  /** Registers one upload from its start to its last callback. */
  #track(run, work) {
    const { signal } = run.options;
    const abort = () => run.stop(signal.reason);
    const wake = () => run.wake();
    this.#runs.add(run);
    globalThis.addEventListener('online', wake);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    const result = this.#report(run, work).finally(() => {
      this.#runs.delete(run);
      globalThis.removeEventListener('online', wake);
      signal?.removeEventListener('abort', abort);
    });
    run.settled = result.catch(() => {});
    return result;
  }

  async #report(run, work) {
    const kind = () => (run.uploadId ? { uploadId: run.uploadId } : { direct: true });
    try {
      const answer = await work(run);
      this.#forget(run);
      run.acknowledged = run.size;
      run.chunksCompleted = run.totalChunks;
      this.#progress(run, 'done');
      const { filename = run.filename, path, url, size } = answer;
      this.onComplete({ ...kind(), filename, path, url, size });
      return answer;
    } catch (error) {
      if (!run.stopped) this.onError({ ...kind(), filename: run.filename, error });
      throw error;
    }
  }

  async #direct(run) {
    await this.#admit(run);
    const form = new FormData();
    form.append('options', JSON.stringify(forServer(run.options)));
    form.append('filename', run.filename);
    form.append('file', run.blob, run.filename || 'blob');
    this.#progress(run);
    const onSent = (sent, total) => {
      run.sent.set(0, Math.round((run.size * sent) / total));
      this.#progress(run, sent < total ? 'uploading' : 'finalizing');
    };
    return this.#persist(run, () =>
      this.#request(run, 'POST', '/process-video-chunks', {}, form, onSent),
    );
  }

  async #chunked(run) {
    const limits = await this.#admit(run);
    const remembered = await this.#recall(run);
    const wished = this.chunkSize ?? limits.chunkSize ?? MIB;
    run.chunkSize = remembered?.chunkSize ?? Math.min(wished, limits.maxChunkSize ?? Infinity);
    run.totalChunks = Math.ceil(run.size / run.chunkSize);
    run.uploadId = remembered?.uploadId;
    for (let round = 1, known = Boolean(remembered); ; round += 1) {
      const status = known ? await this.#persist(run, () => this.#status(run)) : null;
      if (!status) run.uploadId = this.generateUploadId();
      this.#remember(run);
      try {
        await this.#sendAll(run, status);
        this.#progress(run, 'finalizing');
        return await this.#persist(run, () => this.#finish(run));
      } catch (error) {
        // The remembered upload was of other bytes, or the server has lost what it had.
        const foreign = known && error.status === 409;
        if (run.stopped || round === 3 || !(foreign || forgotten(error))) throw error;
        run.halted = null;
        known = !foreign;
      }
    }
  }

  #finish(run) {
    const { uploadId, filename, totalChunks, size: totalSize } = run;
    const options = forServer(run.options);
    return this.#finalize(run, { uploadId, filename, options, totalChunks, totalSize });
  }

  #finalize(run, order) {
    const headers = { 'Content-Type': 'application/json' };
    return this.#request(run, 'POST', '/finalize-upload', headers, JSON.stringify(order));
  }

  /** Keeps `maxConcurrent` chunks on their way until all are acknowledged, or one is refused. */
  async #sendAll(run, status) {
    const indexes = Array.from({ length: run.totalChunks }, (_, index) => index);
    const chunks = indexes.map((index) => missing(status, run, index)).filter(total);
    run.acknowledged = run.size - total(chunks.flat());
    run.chunksCompleted = run.totalChunks - chunks.length;
    this.#progress(run, 'uploading');
    const queue = chunks.values();
    const lane = async () => {
      for (const ranges of queue) await this.#sendChunk(run, ranges);
    };
    const lanes = Math.max(1, run.options.maxConcurrent ?? this.maxConcurrent);
    const halt = (error) => run.halt(error);
    await Promise.all(Array.from({ length: lanes }, () => lane().catch(halt)));
    if (run.halted) throw run.halted;
  }

  /** One chunk until it is acknowledged; after a failure only those bytes that did not arrive. */
  async #sendChunk(run, ranges) {
    const [{ index }] = ranges;
    let left = ranges;
    await this.#persist(run, async (status) => {
      if (status !== undefined) {
        const before = total(left);
        left = missing(status, run, index);
        run.acknowledged += before - total(left);
      }
      for (; left.length; left = left.slice(1)) {
        await this.#put(run, left[0]);
        run.acknowledged += total(left.slice(0, 1));
      }
    });
    run.chunksCompleted += 1;
    this.#progress(run, 'uploading', index);
  }

  async #put(run, range) {
    const { start, end, index } = range;
    const onSent = (sent) => {
      run.sent.set(index, sent);
      this.#progress(run, 'uploading', index);
    };
    const body = run.blob.slice(start, end);
    try {
      await this.#request(run, 'PUT', '/upload-chunk', chunkHeaders(run, range), body, onSent);
    } catch (error) {
      if (error.status === 0 && !run.halted) await readable(run.blob.slice(start, start + 1));
      throw error;
    } finally {
      run.sent.delete(index);
    }
  }

  /**
   * Repeats `work` until it succeeds, its error is final, or it failed more than `maxRetries` times
   * in a row without any progress. From the second time on `work` gets the upload's status.
   */
  async #persist(run, work) {
    let status;
    let failures = 0;
    let mark = run.acknowledged;
    for (;;) {
      try {
        await run.ready();
        return await work(status);
      } catch (error) {
        if (run.halted) throw run.halted;
        if (!error.transient) throw error;
        if (run.acknowledged > mark) failures = 0;
        mark = run.acknowledged;
        if (error !== PAUSED && ++failures > this.maxRetries) throw error;
        run.recovery ??= this.#recover(run, error, failures).finally(() => {
          run.recovery = null;
        });
        status = await run.recovery;
      }
    }
  }

  /** Waits until the server answers again; one wait serves every chunk that failed meanwhile. */
  async #recover(run, failure, failures) {
    for (let error = failure; ; ) {
      const offline = error !== PAUSED && (await this.#backOff(run, error, failures));
      await run.ready();
      run.samples = [];
      if (!run.uploadId) return undefined;
      try {
        return await this.#status(run);
      } catch (next) {
        if (next !== PAUSED && !offline) failures += 1;
        if (!next.transient || failures > this.maxRetries) throw next;
        error = next;
      }
    }
  }

  /** Full jitter, on top of the server's Retry-After. Without a network: until there is one. */
  async #backOff(run, error, failures) {
    const { uploadId, filename } = run;
    const offline = navigator.onLine === false;
    const least = error.retryAfter ?? 0;
    const ceiling = Math.min(this.maxRetryDelay, this.retryDelay * 2 ** (failures - 1));
    const delay = offline ? OFFLINE_PROBE : least + Math.random() * ceiling;
    const earliest = Date.now() + least;
    this.onRetry({ uploadId, filename, error, attempt: failures, delay, offline });
    await run.sleep(delay);
    while (!run.halted && Date.now() < earliest) await run.sleep(earliest - Date.now());
    return offline;
  }

  /** What the server knows of the upload; null when it knows nothing. */
  async #status(run, uploadId = run.uploadId) {
    try {
      return await this.#request(run, 'GET', statusPath(uploadId));
    } catch (error) {
      if (error.status === 404 || error.status === 410) return null;
      throw error;
    }
  }

  async #delete(uploadId) {
    const run = new Run();
    try {
      await this.#persist(run, () => this.#request(run, 'DELETE', statusPath(uploadId)));
    } catch (error) {
      if (error.status !== 404 && error.status !== 410) throw error;
    }
  }

  /** The server's limits; refuses a blob that they rule out before a byte is sent. */
  async #admit(run) {
    const limits = await this.#persist(run, () => {
      this.#limits ??= this.#request(run, 'GET', '/upload-config').catch((error) => {
        this.#limits = null;
        if (error.status === 404) return {};
        throw error;
      });
      return this.#limits;
    });
    if (limits.maxSize && run.size > limits.maxSize) {
      const [size, most] = [run.size, limits.maxSize].map((n) => `${(n / MIB).toFixed(1)} MiB`);
      const message = `The file is too large: it has ${size}, the server takes at most ${most}.`;
      throw new UploadError(message, { status: 413, code: 'too-large' });
    }
    return limits;
  }

  #request(run, method, path, headers = {}, body = null, onSent = null) {
    return new Promise((resolve, reject) => {
      const xhr = new XMLHttpRequest();
      let timer;
      const fail = (message, code) =>
        reject(run?.paused ? PAUSED : new UploadError(message, { code, transient: true }));
      const stalled = () => {
        fail('The server did not answer in time.', 'timeout');
        xhr.abort();
      };
      const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(stalled, this.timeout);
      };
      xhr.open(method, this.baseUrl + path);
      xhr.withCredentials = this.withCredentials;
      const own = typeof this.headers === 'function' ? this.headers() : this.headers;
      for (const entry of Object.entries({ ...own, ...headers })) xhr.setRequestHeader(...entry);
      if (onSent) {
        xhr.upload.onprogress = (event) => {
          alive();
          onSent(event.loaded, event.total);
        };
      }
      xhr.onload = () => settle(xhr, resolve, reject);
      xhr.onerror = () => fail('The server cannot be reached.', 'network');
      xhr.onabort = () => fail('The request was dropped.', 'aborted');
      xhr.onloadend = () => {
        clearTimeout(timer);
        run?.requests.delete(xhr);
      };
      run?.requests.add(xhr);
      alive();
      xhr.send(body);
    });
  }

  /** Tells how far the upload is; never less than it told before. */
  #progress(run, phase = run.phase, chunkIndex = null) {
    if (run.halted || run.paused) return;
    run.phase = phase;
    const inFlight = [...run.sent.values()].reduce((sum, bytes) => sum + bytes, 0);
    run.loaded = Math.max(run.loaded, Math.min(run.size, run.acknowledged + inFlight));
    const { uploadId, filename, totalChunks, chunksCompleted, loaded, size, acknowledged } = run;
    const speed = measure(run.samples, loaded);
    const eta = loaded === size ? 0 : speed > 0 ? (size - loaded) / speed : null;
    const progress = size ? (100 * loaded) / size : phase === 'done' ? 100 : 0;
    const chunks = { uploadId, filename, chunkIndex, totalChunks, chunksCompleted, progress };
    this.onProgress({ ...chunks, loaded, total: size, acknowledged, speed, eta, phase });
  }

  async #recall(run) {
    if (!this.storage || run.options.resumable === false) return null;
    run.key = await fingerprint(run.blob, run.filename, this.baseUrl);
    try {
      return JSON.parse(this.storage.getItem(run.key));
    } catch {
      return null;
    }
  }

  #remember({ key, uploadId, chunkSize }) {
    if (!key) return;
    try {
      this.storage.setItem(key, JSON.stringify({ uploadId, chunkSize, time: Date.now() }));
      removeOld(this.storage);
    } catch {
      // A full or forbidden storage costs the resume after a reload, not the upload.
    }
  }

  #forget({ key }) {
    if (key) this.storage.removeItem(key);
  }
}

/** Settles a request's promise: JSON for success, an UploadError for the rest. */
function settle(xhr, resolve, reject) {
  const { status } = xhr;
  let answer = null;
  try {
    answer = JSON.parse(xhr.responseText);
  } catch {
    // A proxy's error page, or an answer without a body.
  }
  if (status === 204 || (status < 300 && answer)) return resolve(answer ?? {});
  const message = answer?.error ?? `The server answered with status ${status}.`;
  const transient = status < 300 || RETRIED.has(status) || (status >= 500 && !FINAL.has(status));
  const retryAfter = delayFrom(xhr.getResponseHeader('Retry-After'));
  const code = answer?.code ?? 'http';
  return reject(new UploadError(message, { status, code, transient, retryAfter }));
}

/** Milliseconds from a Retry-After header: seconds or a date (RFC 9110, 10.2.3). */
function delayFrom(header) {
  if (!header) return undefined;
  const delay = /^\d+$/.test(header) ? header * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(delay) ? undefined : Math.max(0, delay);
}

function statusPath(uploadId) {
  return `/upload-status/${encodeURIComponent(uploadId)}`;
}

function chunkHeaders({ uploadId, totalChunks, chunkSize, size }, { index, start, end }) {
  const headers = { 'Content-Type': 'application/octet-stream', 'X-Upload-Id': uploadId };
  headers['X-Chunk-Index'] = index;
  if (totalChunks !== undefined) headers['X-Total-Chunks'] = totalChunks;
  if (chunkSize !== undefined) headers['X-Chunk-Size'] = chunkSize;
  if (end > start) headers['Content-Range'] = `bytes ${start}-${end - 1}/${size ?? '*'}`;
  return headers;
}

/** The ranges of one chunk that the server lacks; without a status, the whole chunk. */
function missing(status, { size, chunkSize }, index) {
  const [first, last] = [index * chunkSize, Math.min(size, (index + 1) * chunkSize)];
  return (status?.missing ?? [[0, size]])
    .map(([start, end]) => [Math.max(first, start), Math.min(last, end ?? size)])
    .filter(([start, end]) => start < end)
    .map(([start, end]) => ({ index, start, end }));
}

function total(ranges) {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** Bytes per second over the last few seconds. */
function measure(samples, loaded) {
  const now = performance.now();
  samples.push([now, loaded]);
  while (samples.length > 2 && samples[0][0] < now - SPEED_SPAN) samples.shift();
  const [since, from] = samples[0];
  return now > since ? ((loaded - from) * 1000) / (now - since) : 0;
}

/** Did the server lose the upload, or some of it? Then its status tells what to send again. */
function forgotten({ status, code }) {
  return status === 404 || status === 410 || code === 'missing-chunk';
}

/** The options that are the server's business. */
function forServer(options) {
  const own = ([name]) => !OWN_OPTIONS.includes(name);
  return Object.fromEntries(Object.entries(options).filter(own));
}

/** A file that was changed or removed fails like a lost connection, but trying again is no use. */
async function readable(blob) {
  try {
    await blob.arrayBuffer();
  } catch {
    const message = 'The file can no longer be read: it was changed, moved or removed.';
    throw new UploadError(message, { code: 'unreadable' });
  }
}

/** Names a blob by what it is and how it begins and ends, so that the same one is known again. */
async function fingerprint(blob, filename, baseUrl) {
  const { name = filename, type, size, lastModified = 0 } = blob;
  const label = [baseUrl, name, type, size, lastModified].join('\n');
  const tail = blob.slice(Math.max(SAMPLE_SIZE, size - SAMPLE_SIZE));
  const sample = new Blob([label, blob.slice(0, SAMPLE_SIZE), tail]);
  return PREFIX + (await digest(await sample.arrayBuffer()));
}

async function digest(buffer) {
  if (crypto.subtle) {
    const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', buffer));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  // Plain http has no Web Crypto; two small hashes are enough to tell one's own files apart.
  let [left, right] = [0x811c9dc5, 0x9747b28c];
  for (const byte of new Uint8Array(buffer)) {
    left = Math.imul(left ^ byte, 0x01000193);
    right = Math.imul(right ^ byte, 0x5bd1e995);
  }
  return [left, right].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

/** localStorage, or a memory that ends with the page where the browser forbids it. */
function browserStorage() {
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
    const { time = 0 } = JSON.parse(storage.getItem(key));
    if (Date.now() - time > MEMORY_SPAN) storage.removeItem(key);
  }
}

export const chunkedUploader = new ChunkedUploader();

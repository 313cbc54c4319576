/** Resumable uploads from a browser; chunked-upload.d.ts tells each option and method. */

import {
  PAUSED, Run, UploadError, alone, awaited, browserStorage, fingerprint, hex, later, recall,
  remember, request, told,
} from './upload-run.js';
import { ChunkSizes, MIB, backOff, overlap, take, total, touched } from './upload-sizes.js';

export { UploadError };

const OFFLINE_PROBE = 30_000;
const OWN_OPTIONS = ['chunkThreshold', 'maxConcurrent', 'resumable', 'signal', 'handle'];

export class ChunkedUploader {
  #runs = new Set();
  #limits = null;
  #engine;
  #call = (...order) => this.#request(...order);

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
    this.onFallback = options.onFallback;
    for (const name of ['checksum', 'digest', 'keepFiles', 'follow']) {
      this[name] = options[name] ?? false;
    }
    for (const name of ['onProgress', 'onError', 'onComplete', 'onRetry']) {
      this[name] = options[name] ?? (() => {});
    }
    this.#engine = options.engine ?? chunks;
  }

  generateUploadId() {
    return newId();
  }

  createChunks(blob, chunkSize = this.chunkSize ?? MIB) {
    const count = Math.ceil(blob.size / chunkSize);
    const slice = (_, index) => blob.slice(index * chunkSize, (index + 1) * chunkSize);
    return Array.from({ length: count }, slice);
  }

  smartUpload(blob, filename, options = {}) {
    const direct = blob.size <= (options.chunkThreshold ?? 5 * MIB);
    return this[direct ? 'uploadDirect' : 'upload'](blob, filename, options);
  }

  uploadDirect(blob, filename = blob.name ?? '', options = {}) {
    return this.#track(new Run(blob, filename, options), (run) => this.#direct(run));
  }

  /** In chunks; goes on where an earlier try with the same blob stopped. */
  upload(blob, filename = blob.name ?? '', options = {}) {
    if (!blob.size && this.#engine.direct) return this.uploadDirect(blob, filename, options);
    return this.#track(new Run(blob, filename, options), (run) => this.#chunked(run));
  }

  async uploadChunk(chunk, index, uploadId, totalChunks, { start, chunkSize, total: size } = {}) {
    const common = { uploadId, totalChunks, chunkSize, size };
    const headers = chunkHeaders(common, { index, start, end: start + chunk.size });
    return told(await this.#request(null, 'PUT', '/upload-chunk', { headers, body: chunk }));
  }

  async checkUploadStatus(uploadId) {
    try {
      const run = Object.assign(new Run(), { uploadId });
      const status = await this.#status(run);
      return status ? { exists: true, ...status } : { exists: false };
    } catch (error) {
      return { exists: false, error: error.message };
    }
  }

  finalizeUpload(uploadId, filename, options = {}) {
    return chunks.finish(this.#call, null, { uploadId, filename, options: forServer(options) });
  }

  async unfinished() {
    return (await later('kept-files')).kept(this.baseUrl);
  }

  async restore(entry) {
    const file = await (await later('kept-files')).fileOf(entry);
    return this.upload(file, entry.filename, { ...entry.options, handle: entry.handle });
  }

  async discard({ key }) {
    const { uploadId } = (this.storage && recall(this.storage, key)) ?? {};
    await this.#forget({ key });
    if (uploadId) await this.#delete(uploadId);
  }

  pause(uploadId) {
    for (const run of this.#find(uploadId)) {
      run.paused = true;
      run.interrupt();
    }
  }

  resume(uploadId) {
    for (const run of this.#find(uploadId)) {
      run.paused = false;
      run.wake();
    }
  }

  abort(uploadId) {
    const reason = new DOMException('The upload was stopped.', 'AbortError');
    for (const run of this.#find(uploadId)) run.stop(reason);
  }

  async cancel(uploadId) {
    const runs = this.#find(uploadId);
    this.abort(uploadId);
    await Promise.all(runs.map((run) => run.settled));
    await Promise.all(runs.map((run) => this.#forget(run)));
    const ids = new Set([uploadId, ...runs.map((run) => run.uploadId)].filter(Boolean));
    const jobs = runs.map((run) => run.job).filter(Boolean);
    await Promise.all([
      ...[...ids].map((id) => this.#delete(id)),
      ...jobs.map((job) => this.#remove((run) => this.#request(run, 'DELETE', job))),
    ]);
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
    globalThis.addEventListener?.('online', wake);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    const result = this.#report(run, work).finally(() => {
      run.hashing?.abort();
      this.#runs.delete(run);
      globalThis.removeEventListener?.('online', wake);
      signal?.removeEventListener('abort', abort);
    });
    run.settled = result.catch(() => {});
    return result;
  }

  async #report(run, work) {
    const kind = () => (run.uploadId ? { uploadId: run.uploadId } : { direct: true });
    try {
      const stored = await work(run);
      run.acknowledged = run.size;
      run.chunksCompleted = run.totalChunks;
      const answer = this.follow ? await this.#processed(run, stored) : stored;
      this.#progress(run, 'done');
      const { filename = run.filename, path, url, size } = answer;
      this.onComplete({ ...kind(), filename, path, url, size });
      return answer;
    } catch (error) {
      if (!run.stopped) {
        await this.#fallBack(run, error);
        this.onError({ ...kind(), filename: run.filename, error });
      }
      throw error;
    }
  }

  /** The server is gone and the tries are used up: the page may keep the file. */
  async #fallBack(run, error) {
    if (!error.transient || !this.onFallback) return;
    const { uploadId, blob, filename } = run;
    const options = forServer(run.options);
    try {
      error.fallback = await this.onFallback({ uploadId, blob, filename, options, error });
    } catch (cause) {
      error.cause = cause;
    }
  }

  /** The answer again, with what the server has made of the file by then. */
  async #processed(run, answer) {
    if (!answer.status_url) return answer;
    const { followJob } = await later('follow-job');
    run.job = new URL(answer.status_url, this.#place()).href;
    const ask = () => this.#persist(run, () => this.#request(run, 'GET', run.job));
    const tell = () => this.#progress(run, 'processing');
    return followJob(run, answer, ask, tell, this.withCredentials);
  }

  #place() {
    return new URL(this.baseUrl, globalThis.location?.href);
  }

  async #direct(run) {
    await this.#admit(run);
    this.#progress(run);
    const onSent = (sent, all) => {
      run.carry(0, Math.round((run.size * sent) / all));
      this.#progress(run, sent < all ? 'uploading' : 'finalizing');
    };
    const options = forServer(run.options);
    return this.#persist(run, () => this.#engine.direct(this.#call, run, options, onSent));
  }

  async #chunked(run) {
    const limits = await this.#admit(run);
    run.endpoint = globalThis.location ? this.#place().href : this.baseUrl;
    const remembers = this.storage && run.options.resumable !== false;
    const { blob, filename, options } = run;
    if (remembers) run.key = await fingerprint(blob, filename, this.baseUrl, options.relativePath);
    return alone(run, run.key, () => this.#progress(run, 'waiting'), () => this.#send(run, limits));
  }

  async #send(run, limits) {
    const remembered = run.key ? recall(this.storage, run.key) : null;
    const { chunkSize: wished, partSize: part, maxChunks } = limits;
    const most = limits.maxChunkSize ?? undefined;
    const fixed = this.chunkSize ? Math.min(this.chunkSize, most ?? Infinity) : undefined;
    run.chunkSize = remembered ? remembered.chunkSize : fixed;
    const bounds = { wished, part, maxChunks, most, total: run.size };
    const sizes = new ChunkSizes({ ...bounds, fixed: run.chunkSize ?? fixed, checked: this.checksum });
    run.sizes = sizes;
    if (sizes.fixed) run.totalChunks = Math.ceil(run.size / sizes.fixed);
    run.uploadId = remembered?.uploadId;
    const digest = this.digest && this.#engine === chunks ? this.#digest(run) : null;
    digest?.catch(() => {});
    for (let round = 1, known = Boolean(remembered); ; round += 1) {
      const status = known ? await this.#persist(run, () => this.#status(run)) : null;
      if (!status) await this.#persist(run, () => this.#open(run));
      if (run.key) remember(this.storage, run.key, run);
      if (run.key && this.keepFiles) {
        await (await later('kept-files')).keep(run, this.baseUrl, forServer(run.options));
      }
      try {
        await this.#sendAll(run, status);
        const answer = await this.#finish(run, digest);
        await this.#leave(run);
        return answer;
      } catch (error) {
        // The remembered upload was of other bytes, or the server has lost what it had.
        const foreign = known && error.status === 409;
        if (run.stopped || round === 3 || !(foreign || forgotten(error))) throw error;
        run.halted = null;
        known = !foreign;
      }
    }
  }

  async #open(run) {
    run.uploadId = undefined;
    await this.#engine.open(this.#call, run);
  }

  /** The digest of the whole file, worked out while its bytes travel. */
  async #digest(run) {
    run.hashing = new AbortController();
    const { digestOf } = await later('file-digest');
    run.digest = await digestOf(run.blob, run.hashing.signal);
    return run.digest;
  }

  async #finish(run, digest) {
    const { uploadId, filename, size: totalSize } = run;
    const totalChunks = run.chunkSize ? run.totalChunks : undefined;
    const options = forServer(run.options);
    const metadata = { relativePath: options.relativePath, ...options.metadata };
    const order = { uploadId, filename, options, metadata, totalChunks, totalSize };
    if (digest) {
      if (!run.digest) this.#progress(run, 'hashing');
      order.digest = `sha256:${await digest.catch(unreadable)}`;
      await run.ready();
    }
    this.#progress(run, 'finalizing');
    try {
      return await this.#persist(run, () => this.#engine.finish(this.#call, run, order));
    } catch (error) {
      // The server has thrown the file away: what is remembered leads nowhere.
      if (error.code === 'digest-mismatch') await this.#forget(run);
      throw error;
    }
  }

  /** Keeps `maxConcurrent` chunks on their way until all are acknowledged, or one is refused. */
  async #sendAll(run, status) {
    run.gaps = overlap(status?.missing ?? [[0, run.size]], [0, run.size]);
    run.acknowledged = run.size - total(run.gaps);
    run.chunksCompleted = run.sizes.fixed ? run.totalChunks - touched(run.gaps, run.sizes.fixed) : 0;
    this.#progress(run, 'uploading');
    const lane = async () => {
      for (let range; (range = take(run.gaps, run.sizes)); ) await this.#sendChunk(run, range);
    };
    const wished = Math.max(1, run.options.maxConcurrent ?? this.maxConcurrent);
    const lanes = Math.min(wished, this.#engine.lanes);
    const halt = (error) => run.halt(error);
    await Promise.all(Array.from({ length: lanes }, () => lane().catch(halt)));
    if (run.halted) throw run.halted;
  }

  /** One chunk until it is acknowledged; after a failure only those bytes that did not arrive. */
  async #sendChunk(run, range) {
    const index = run.sizes.fixed ? Math.floor(range[0] / run.sizes.fixed) : null;
    let left = [range];
    await this.#persist(run, async (status) => {
      if (status !== undefined) {
        const before = total(left);
        left = overlap(status?.missing ?? [[0, run.size]], range);
        run.acknowledged += before - total(left);
      }
      while (left.length) {
        const rest = left.map((gap) => [...gap]);
        const piece = take(rest, run.sizes);
        if (!(await this.#put(run, piece, index))) continue;
        left = rest;
        run.acknowledged += total([piece]);
      }
    });
    if (!run.sizes.fixed || run.chunksCompleted < run.totalChunks) run.chunksCompleted += 1;
    this.#progress(run, 'uploading', index);
  }

  /** False when the chunk was too big for somebody on the way: a smaller one may pass. */
  async #put(run, [start, end], index) {
    const mark = {};
    const onSent = (sent) => {
      run.carry(mark, sent);
      this.#progress(run, 'uploading', index);
    };
    const body = run.blob.slice(start, end);
    const begun = performance.now();
    try {
      const sum = await this.#sum(body);
      await run.ready();
      const place = { index, start, end, sum };
      await this.#engine.put(this.#call, run, place, body, onSent);
      run.sizes.learn(end - start, performance.now() - begun);
      return true;
    } catch (error) {
      // A 413 in words that are not the server's comes from a proxy before it.
      const alien = error.status === 413 && error.code === 'http';
      if (alien && run.sizes.refuse(end - start)) return false;
      if (error.status === 0 && error !== PAUSED && !run.halted) {
        run.sizes.shrink();
        await readable(run.blob.slice(start, start + 1));
      }
      throw error;
    } finally {
      run.sent.delete(mark);
    }
  }

  async #sum(body) {
    if (!this.checksum || !globalThis.crypto?.subtle) return undefined;
    return crypto.subtle.digest(this.#engine.algorithm, await readable(body));
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
      run.meter.rest();
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
    const offline = globalThis.navigator?.onLine === false;
    const least = error.retryAfter ?? 0;
    const bounds = { least, first: this.retryDelay, most: this.maxRetryDelay };
    const delay = offline ? OFFLINE_PROBE : backOff(failures, bounds);
    const earliest = Date.now() + least;
    this.onRetry({ uploadId, filename, error, attempt: failures, delay, offline });
    await run.sleep(delay);
    while (!run.halted && Date.now() < earliest) await run.sleep(earliest - Date.now());
    return offline;
  }

  /** What the server knows of the upload; null when it knows nothing. */
  async #status(run) {
    try {
      return await this.#engine.status(this.#call, run);
    } catch (error) {
      if (forgotten(error)) return null;
      throw error;
    }
  }

  #delete(uploadId) {
    return this.#remove((run) => this.#engine.discard(this.#call, Object.assign(run, { uploadId })));
  }

  /** What is gone already, or has ended, is no error. */
  async #remove(work) {
    const run = new Run();
    try {
      await this.#persist(run, () => work(run));
    } catch (error) {
      if (![404, 409, 410].includes(error.status)) throw error;
    }
  }

  /** The server's limits; refuses a blob that they rule out before a byte is sent. */
  async #admit(run) {
    const limits = await this.#persist(run, async () => {
      this.#limits ??= this.#engine.limits(this.#call, run);
      try {
        return await this.#limits;
      } catch (error) {
        this.#limits = null;
        // A server that tells no limits will do.
        if ([404, 405, 501].includes(error.status)) return {};
        throw error;
      }
    });
    if (limits.maxSize && run.size > limits.maxSize) {
      const [size, most] = [run.size, limits.maxSize].map((n) => `${(n / MIB).toFixed(1)} MiB`);
      const message = `The file is too large: it has ${size}, the server takes at most ${most}.`;
      throw new UploadError(message, { status: 413, code: 'too-large' });
    }
    return limits;
  }

  #request(run, method, path, { headers, body, onSent } = {}) {
    const own = typeof this.headers === 'function' ? this.headers() : this.headers;
    const { timeout, withCredentials } = this;
    const url = /^https?:/.test(path) ? path : this.baseUrl + path;
    const all = { ...own, ...headers };
    return request(run, method, url, { headers: all, body, onSent, timeout, withCredentials });
  }

  /** Tells how far the upload is; never less than it told before. */
  #progress(run, phase = run.phase, chunkIndex = null) {
    if (run.halted || run.paused) return;
    this.onProgress(run.figures(phase, chunkIndex));
  }

  /** The upload is done. A tab that waits for its turn finds the id, and by it the same answer. */
  async #leave(run) {
    if (run.key && !(await awaited(run.key))) await this.#forget(run);
  }

  async #forget({ key }) {
    if (!key) return;
    this.storage?.removeItem(key);
    if (this.keepFiles) await (await later('kept-files')).drop(key);
  }
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
function readable(blob) {
  return blob.arrayBuffer().catch(unreadable);
}

function unreadable() {
  const message = 'The file can no longer be read: it was changed, moved or removed.';
  throw new UploadError(message, { code: 'unreadable' });
}

/** A new id with 128 random bits: who does not know it cannot touch the upload. */
function newId() {
  const text = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
  return `upload_${text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`;
}

function statusPath(uploadId) {
  return `/upload-status/${encodeURIComponent(uploadId)}`;
}

/** The headers of one chunk; `sum` is the SHA-256 of its bytes. */
function chunkHeaders({ uploadId, totalChunks, chunkSize, size }, { index, start, end, sum }) {
  const headers = { 'Content-Type': 'application/octet-stream', 'X-Upload-Id': uploadId };
  if (index !== undefined) headers['X-Chunk-Index'] = index;
  if (totalChunks !== undefined) headers['X-Total-Chunks'] = totalChunks;
  if (chunkSize !== undefined) headers['X-Chunk-Size'] = chunkSize;
  if (end > start) headers['Content-Range'] = `bytes ${start}-${end - 1}/${size ?? '*'}`;
  if (sum) headers['X-Chunk-Digest'] = `sha256:${hex(sum)}`;
  return headers;
}

const chunks = {
  lanes: Infinity,
  algorithm: 'SHA-256',
  async limits(call, run) {
    return told(await call(run, 'GET', '/upload-config'));
  },
  async open(call, run) {
    run.uploadId = newId();
  },
  async status(call, run) {
    return told(await call(run, 'GET', statusPath(run.uploadId)));
  },
  async put(call, run, { index, start, end, sum }, body, onSent) {
    const { uploadId, chunkSize, size } = run;
    // Chunks of changing sizes have no number: their positions say all.
    const numbered = chunkSize ? { index, totalChunks: run.totalChunks } : {};
    const common = { uploadId, chunkSize, size, totalChunks: numbered.totalChunks };
    const headers = chunkHeaders(common, { index: numbered.index, start, end, sum });
    return told(await call(run, 'PUT', '/upload-chunk', { headers, body, onSent }));
  },
  async finish(call, run, order) {
    const headers = { 'Content-Type': 'application/json' };
    const body = JSON.stringify(order);
    return told(await call(run, 'POST', '/finalize-upload', { headers, body }));
  },
  async direct(call, run, options, onSent) {
    const form = new FormData();
    form.append('options', JSON.stringify(options));
    form.append('filename', run.filename);
    form.append('file', run.blob, run.filename || 'blob');
    return told(await call(run, 'POST', '/process-video-chunks', { body: form, onSent }));
  },
  discard: (call, run) => call(run, 'DELETE', statusPath(run.uploadId)),
};

export const chunkedUploader = new ChunkedUploader();

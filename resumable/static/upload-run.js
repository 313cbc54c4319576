/** One blob on its way: its requests, how far it has come, and the memory that outlives the page. */

import { Meter, delayFrom, timeLeft, total } from './upload-sizes.js';

const RETRIED = new Set([408, 422, 423, 425, 429, 460]);
const FINAL = new Set([501, 505]);
const SAMPLE_SIZE = 64 * 1024;
const MEMORY_SPAN = 30 * 24 * 60 * 60 * 1000;
const PREFIX = 'resumable:';

export class Run {
  phase = 'uploading';
  acknowledged = 0;
  loaded = 0;
  wired = 0;
  totalChunks = 1;
  chunksCompleted = 0;
  sent = new Map();
  gaps = [];
  meter = new Meter();
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

  /** `bytes` of one request are on the wire; repeats count again in `wired`. */
  carry(request, bytes) {
    this.wired += Math.max(0, bytes - (this.sent.get(request) ?? 0));
    this.sent.set(request, bytes);
  }

  /** The figures for onProgress; `loaded` is never less than it was before. */
  figures(phase, chunkIndex) {
    this.phase = phase;
    const inFlight = [...this.sent.values()].reduce((sum, bytes) => sum + bytes, 0);
    this.loaded = Math.max(this.loaded, Math.min(this.size, this.acknowledged + inFlight));
    const { uploadId, filename, loaded, size, acknowledged, wired } = this;
    const speed = this.meter.speed(loaded, performance.now());
    const progress = size ? (100 * loaded) / size : phase === 'done' ? 100 : 0;
    const chunks = { uploadId, filename, chunkIndex, ...this.#chunks(), progress };
    const bytes = { loaded, total: size, acknowledged, sent: wired };
    const processed = this.processed ?? null;
    return { ...chunks, ...bytes, speed, eta: timeLeft(size - loaded, speed), processed, phase };
  }

  /** Chunks of changing sizes are counted as if those to come had the present one. */
  #chunks() {
    const { chunksCompleted, sizes } = this;
    if (!sizes || sizes.fixed) return { totalChunks: this.totalChunks, chunksCompleted };
    const coming = this.sent.size + Math.ceil(total(this.gaps) / sizes.size);
    return { totalChunks: Math.max(1, chunksCompleted + coming), chunksCompleted };
  }
}

/** Why a request failed. `status` is 0 without an answer; a `transient` failure may pass by itself. */
export class UploadError extends Error {
  name = 'UploadError';

  constructor(message, { status = 0, code = 'network', transient = false, retryAfter } = {}) {
    super(message);
    Object.assign(this, { status, code, transient, retryAfter });
  }
}

/** What `pause()` makes of the requests that it drops; never leaves the uploader. */
export const PAUSED = new UploadError('The upload is paused.', { code: 'paused', transient: true });

/** Resolves with `{status, json, header(name)}` of a success; rejects with an UploadError. */
export function request(run, method, url, { headers, body, onSent, timeout, withCredentials }) {
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
      timer = setTimeout(stalled, timeout);
    };
    xhr.open(method, url);
    xhr.withCredentials = withCredentials;
    for (const entry of Object.entries(headers)) xhr.setRequestHeader(...entry);
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
    xhr.send(body ?? null);
  });
}

function settle(xhr, resolve, reject) {
  const { status } = xhr;
  const header = (name) => xhr.getResponseHeader(name);
  let json = null;
  try {
    json = JSON.parse(xhr.responseText);
  } catch {
    // No body, plain text, or a proxy's page.
  }
  if (status >= 200 && status < 300) return resolve({ status, json, header });
  const text = /^text\/plain/.test(header('Content-Type')) && xhr.responseText.slice(0, 200);
  const message = json?.error ?? (text || `The server answered with status ${status}.`);
  const transient = RETRIED.has(status) || (status >= 500 && !FINAL.has(status));
  const retryAfter = delayFrom(header('Retry-After'));
  return reject(new UploadError(message, { status, code: json?.code ?? 'http', transient, retryAfter }));
}

/** The JSON of an answer; a success without it is a proxy's, not the server's. */
export function told({ status, json }) {
  if (status === 204 || json) return json ?? {};
  const message = `The server answered with status ${status}, and nothing that can be understood.`;
  throw new UploadError(message, { status, code: 'http', transient: true });
}

/** Names a blob by what it is and how it begins and ends, so that the same one is known again. */
export async function fingerprint(blob, filename, baseUrl, path) {
  const { name = filename, type, size, lastModified = 0 } = blob;
  const label = [baseUrl, path, name, type, size, lastModified].join('\n');
  const tail = blob.slice(Math.max(SAMPLE_SIZE, size - SAMPLE_SIZE));
  const sample = new Blob([label, blob.slice(0, SAMPLE_SIZE), tail]);
  return PREFIX + (await nameOf(sample));
}

async function nameOf(sample) {
  const { subtle } = globalThis.crypto ?? {};
  if (subtle) return hex(await subtle.digest('SHA-256', await sample.arrayBuffer()));
  // Plain http has no Web Crypto.
  return (await later('file-digest')).digestHere(sample);
}

export function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What few pages need is loaded when it is needed; the name is no literal, lest it be preloaded. */
export function later(name) {
  return import(`./${name}.js`);
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

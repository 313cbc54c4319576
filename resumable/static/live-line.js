/** Sends what has no known end yet: one chunk at a time, each where the last one ended. */

import { deferred } from './local-store.js';
import { PAUSED, UploadError, request } from './upload-run.js';
import { backOff } from './upload-sizes.js';

const LEAST = 256 * 1024;
const LARGEST = 8 * 1024 * 1024;
/** Milliseconds that one chunk should take: a cut costs no more, and the way there is well used. */
const AIM = 4000;
const OFFLINE_PROBE = 30_000;
const DEFAULTS = { timeout: 60_000, retryDelay: 1000, maxRetryDelay: 30_000, headers: {} };

export class LiveLine {
  /** Bytes that the server has promised to keep, without a gap. */
  offset = 0;
  #queue = [];
  #end = 0;
  #order = null;
  #synced;
  #idle = false;
  #stopped = null;
  #wake = () => {};
  #wire = { requests: new Set(), paused: false };
  #largest;
  #size = LEAST;
  #failures = 0;
  #answer = deferred();

  /**
   * `dialect` speaks with the server, see line-dialects.js. `onAcknowledged(offset)` when it has
   * more, `onRetry({error, attempt, delay, offline})` before each wait. `known`: the server may have some of it; it is asked first.
   */
  constructor({ dialect, known = false, ...settings }) {
    this.dialect = dialect;
    this.settings = { ...DEFAULTS, ...settings };
    this.#synced = !known;
    this.#largest = settings.chunkSize ?? LARGEST;
    this.#answer.promise.catch(() => {});
    addEventListener('online', this.#poke);
    this.#run()
      .then(this.#answer.resolve, this.#answer.reject)
      .finally(() => removeEventListener('online', this.#poke));
  }

  /** Resolves with the server's answer to the finish; rejects when it refuses for good. */
  get answer() {
    return this.#answer.promise;
  }

  /** The most bytes that the server takes; undefined where it does not say. */
  limit() {
    return this.dialect.limit(this.#call);
  }

  /** The next bytes of the recording; `start` is where they belong in it. */
  push(blob, start = this.#end) {
    this.#end = start + blob.size;
    this.#queue.push({ start, end: this.#end, blob });
    this.#news();
  }

  /** There is no more: `size` bytes become one file. */
  finish({ filename, options, size = this.#end }) {
    this.#end = size;
    this.#order = { filename, options, totalSize: size };
    this.#news();
    return this.answer;
  }

  pause() {
    this.#wire.paused = true;
    this.#interrupt();
  }

  /** Goes on; also ends a wait before the next try. */
  resume() {
    this.#wire.paused = false;
    this.#wake();
  }

  /** Sends no more; the server keeps what it has. */
  abort(reason = new DOMException('The upload was stopped.', 'AbortError')) {
    this.#stopped ??= reason;
    this.#interrupt();
  }

  /** Sends no more, and the server deletes what it has. */
  async cancel() {
    this.abort();
    await this.answer.catch(() => {});
    await this.dialect.cancel(this.#call).catch((error) => {
      if (error.status !== 404 && error.status !== 410) throw error;
    });
  }

  #interrupt() {
    for (const sent of this.#wire.requests) sent.abort();
    this.#wake();
  }

  #poke = () => this.#wake();

  /** New work ends the rest of an idle line, but no wait before the next try. */
  #news() {
    if (this.#idle) this.#wake();
  }

  async #rest() {
    this.#idle = true;
    await this.#sleep();
    this.#idle = false;
  }

  async #run() {
    for (;;) {
      if (this.#stopped) throw this.#stopped;
      const nothing = this.#synced && !this.#queue.length && !this.#order;
      if (this.#wire.paused || nothing) await this.#rest();
      else {
        const answer = await this.#step().catch((error) => this.#recover(error));
        if (answer) return answer;
      }
    }
  }

  /** One request: what has arrived, the next chunk, or the finish. */
  async #step() {
    if (!this.#synced) {
      const offset = await this.dialect.ask(this.#call);
      this.#synced = true;
      return this.#acknowledge(offset);
    }
    if (this.offset < this.#end) return this.#send();
    return this.dialect.finish(this.#call, this.#order);
  }

  async #send() {
    const blob = this.#next();
    const began = performance.now();
    const offset = await this.dialect.send(this.#call, blob, this.offset);
    const pace = blob.size / Math.max(1, performance.now() - began);
    this.#size = Math.max(LEAST, Math.min(2 * this.#size, pace * AIM));
    this.#acknowledge(offset);
  }

  /** The bytes from the offset on, at most one chunk. */
  #next() {
    const most = Math.min(this.#size, this.#largest);
    const parts = [];
    let at = this.offset;
    for (const { start, end, blob } of this.#queue) {
      if (start > at) break;
      parts.push(blob.slice(at - start, this.offset + most - start));
      at = Math.min(end, this.offset + most);
      if (at < end) break;
    }
    if (parts.length) return new Blob(parts);
    const message = 'The server no longer has the beginning of this recording.';
    throw new UploadError(message, { status: 410, code: 'lost' });
  }

  #acknowledge(offset) {
    if (offset > this.offset) this.#failures = 0;
    this.offset = offset;
    while (this.#queue.length && this.#queue[0].end <= offset) this.#queue.shift();
    this.settings.onAcknowledged?.(offset);
  }

  /** Waits before the next try, which begins with a look at what has arrived. */
  async #recover(error) {
    if (this.#stopped) throw this.#stopped;
    this.#synced = false;
    if (error === PAUSED) return;
    if (!error.transient) throw error;
    this.#failures += 1;
    const { retryDelay, maxRetryDelay, onRetry } = this.settings;
    const offline = navigator.onLine === false;
    const least = error.retryAfter ?? 0;
    const bounds = { least, first: retryDelay, most: maxRetryDelay };
    const delay = offline ? OFFLINE_PROBE : backOff(this.#failures, bounds);
    const earliest = Date.now() + least;
    onRetry?.({ error, attempt: this.#failures, delay, offline });
    await this.#sleep(delay);
    while (!this.#stopped && Date.now() < earliest) await this.#sleep(earliest - Date.now());
  }

  /** Until `delay` is over, or something happened. */
  #sleep(delay) {
    return new Promise((resolve) => {
      const timer = delay === undefined ? null : setTimeout(resolve, delay);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One request; resolves with `{status, header(name), json}` for success. */
  #call = (method, url, { follow = false, body, headers } = {}) => {
    const { headers: own, withCredentials = false, timeout } = this.settings;
    const all = { ...(typeof own === 'function' ? own() : own), ...headers };
    // Bytes that move show that the line is alive.
    const onSent = follow ? () => {} : undefined;
    const order = { headers: all, body, onSent, timeout, withCredentials };
    return request(this.#wire, method, url, order);
  };
}

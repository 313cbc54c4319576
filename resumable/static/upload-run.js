/** One blob on its way: may it send, and how far has it come. */

import { Meter, timeLeft, total } from './upload-sizes.js';

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

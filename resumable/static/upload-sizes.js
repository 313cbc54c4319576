/** The arithmetic of an upload: gaps, sizes of chunks, waits between tries, speed. No browser in it. */

export const MIB = 1024 * 1024;
const LEAST = MIB / 4;
const MOST = 64 * MIB;
const AIM = 4000;
const [QUICK, SLOW] = [2000, 8000];
const SPEED_SPAN = 3000;
const SPEED_STEP = 100;

/** What of `ranges` lies in [first, last); an open end is `last`. */
export function overlap(ranges, [first, last]) {
  return ranges
    .map(([start, end]) => [Math.max(first, start), Math.min(last, end ?? last)])
    .filter(([start, end]) => start < end);
}

export function total(ranges) {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** Cuts the next chunk off the front of `ranges`, which loses it; undefined when there is none. */
export function take(ranges, sizes) {
  if (!ranges.length) return undefined;
  const [[start, end]] = ranges;
  const cut = Math.min(end, sizes.end(start));
  if (cut === end) ranges.shift();
  else ranges[0] = [cut, end];
  return [start, cut];
}

/** How many chunks of one size the gaps touch. */
export function touched(ranges, size) {
  let [count, next] = [0, 0];
  for (const [start, end] of ranges) {
    const first = Math.max(next, Math.floor(start / size));
    next = Math.ceil(end / size);
    count += Math.max(0, next - first);
  }
  return count;
}

/** Chunks of one `fixed` size, or of sizes that the line can carry in a few seconds. */
export class ChunkSizes {
  constructor({ fixed, wished = MIB, part, most = MOST, total: length = 0, maxChunks, checked } = {}) {
    this.fixed = fixed;
    this.part = part || 1;
    // With a checksum nothing of a chunk that was cut is kept: big ones would be dear.
    this.most = Math.min(most, checked ? MOST / 4 : MOST);
    const fewest = Math.ceil(length / (maxChunks || Infinity));
    this.least = Math.min(this.most, Math.max(LEAST, fewest));
    this.size = fixed ?? Math.min(this.most, Math.max(Math.min(wished, MIB), fewest));
  }

  /** Where a chunk that begins at `start` ends: at a border of the storage's parts, if it can. */
  end(start) {
    const { fixed, size, part } = this;
    if (fixed) return (Math.floor(start / fixed) + 1) * fixed;
    if (size < part) return Math.min(start + size, (Math.floor(start / part) + 1) * part);
    const border = Math.floor((start + size) / part) * part;
    return border > start ? border : start + size;
  }

  /** A chunk of so many bytes took so many milliseconds. */
  learn(bytes, time) {
    if (this.fixed || (time >= QUICK && time <= SLOW) || (time < QUICK && bytes < this.size / 2)) return;
    const fit = (bytes * AIM) / Math.max(1, time);
    this.#become(Math.min(Math.max(fit, this.size / 4), this.size * 2));
  }

  /** A chunk was lost on the way. */
  shrink() {
    if (!this.fixed) this.#become(this.size / 2);
  }

  /** Somebody between here and the server takes no chunk of so many bytes; false: nor smaller ones. */
  refuse(bytes) {
    if (this.fixed || bytes <= this.least) return false;
    this.most = Math.max(this.least, Math.floor(bytes / 2));
    this.#become(this.size);
    return true;
  }

  #become(size) {
    // A server may wish for chunks below our least: those are not made bigger by a loss.
    const least = Math.min(this.least, this.size);
    this.size = Math.floor(Math.min(this.most, Math.max(least, size)));
  }
}

/** Milliseconds: a random part of a wait that doubles, on top of what the server asked for. */
export function backOff(failures, { least = 0, first, most, random = Math.random }) {
  return least + random() * Math.min(most, first * 2 ** (failures - 1));
}

/** Milliseconds from a Retry-After header: seconds or a date (RFC 9110, 10.2.3). */
export function delayFrom(header, now = Date.now()) {
  if (!header) return undefined;
  const delay = /^\d+$/.test(header) ? header * 1000 : Date.parse(header) - now;
  return Number.isNaN(delay) ? undefined : Math.max(0, delay);
}

/** Bytes per second, smoothed: what was seven seconds ago counts a tenth. */
export class Meter {
  #speed = null;
  #mark = null;

  /** Forgets the time since the last report, not the speed: nothing was on its way. */
  rest() {
    this.#mark = null;
  }

  speed(loaded, now) {
    this.#mark ??= [now, loaded];
    const [since, from] = this.#mark;
    const span = now - since;
    if (span >= SPEED_STEP) {
      const fresh = ((loaded - from) * 1000) / span;
      const weight = this.#speed === null ? 1 : 1 - Math.exp(-span / SPEED_SPAN);
      this.#speed = (this.#speed ?? 0) + weight * (fresh - (this.#speed ?? 0));
      this.#mark = [now, loaded];
    }
    return this.#speed ?? 0;
  }
}

/** Seconds left, null while unknown. */
export function timeLeft(left, speed) {
  if (!left) return 0;
  return speed > 0 ? left / speed : null;
}

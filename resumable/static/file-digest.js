/** SHA-256 of a blob of any size in little memory; in a Worker where the browser lets us. */

const STEP = 4 * 1024 * 1024;
const K = new Uint32Array(64);
const START = new Uint32Array(8);

/** FIPS 180-4, 4.2.2 and 5.3.3: fractions of the roots of the first primes. */
for (let prime = 2, count = 0; count < 64; prime += 1) {
  let whole = true;
  for (let factor = 2; factor * factor <= prime; factor += 1) whole &&= prime % factor !== 0;
  if (!whole) continue;
  if (count < 8) START[count] = (prime ** (1 / 2) % 1) * 2 ** 32;
  K[count] = (prime ** (1 / 3) % 1) * 2 ** 32;
  count += 1;
}

export class Sha256 {
  #state = START.slice();
  #words = new Uint32Array(64);
  #block = new Uint8Array(64);
  #length = 0;

  update(bytes) {
    let at = 0;
    const filled = this.#length % 64;
    this.#length += bytes.length;
    if (filled) {
      at = Math.min(64 - filled, bytes.length);
      this.#block.set(bytes.subarray(0, at), filled);
      if (filled + at < 64) return this;
      this.#mix(this.#block, 0);
    }
    for (; at + 64 <= bytes.length; at += 64) this.#mix(bytes, at);
    this.#block.set(bytes.subarray(at));
    return this;
  }

  /** The digest in hex; no update may follow. */
  hex() {
    const length = this.#length;
    const padding = new Uint8Array(((119 - (length % 64)) % 64) + 9);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(length / 2 ** 29));
    view.setUint32(padding.length - 4, (length * 8) % 2 ** 32);
    this.update(padding);
    return Array.from(this.#state, (word) => word.toString(16).padStart(8, '0')).join('');
  }

  #mix(bytes, at) {
    const w = this.#words;
    for (let i = 0; i < 16; i += 1, at += 4) {
      w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let i = 16; i < 64; i += 1) {
      const [x, y] = [w[i - 15], w[i - 2]];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    const state = this.#state;
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

/** The digest in hex, worked out here; stops when `signal` says so. */
export async function digestHere(blob, signal) {
  const sum = new Sha256();
  for (let at = 0; at < blob.size; at += STEP) {
    signal?.throwIfAborted();
    sum.update(new Uint8Array(await blob.slice(at, at + STEP).arrayBuffer()));
  }
  return sum.hex();
}

/** The digest in hex, in a Worker; where none may start (another origin, a strict CSP), here. */
export function digestOf(blob, signal) {
  return new Promise((resolve, reject) => {
    const here = () => digestHere(blob, signal).then(resolve, reject);
    let worker;
    try {
      worker = new Worker(new URL('./file-digest-worker.js', import.meta.url), { type: 'module' });
    } catch {
      return here();
    }
    const end = () => {
      worker.terminate();
      reject(signal.reason);
    };
    signal?.addEventListener('abort', end, { once: true });
    const settled = (settle) => {
      signal?.removeEventListener('abort', end);
      worker.terminate();
      settle();
    };
    worker.onmessage = ({ data }) =>
      settled(() => (data.hex ? resolve(data.hex) : reject(new DOMException(data.error, 'NotReadableError'))));
    worker.onerror = () => settled(here);
    worker.postMessage(blob);
  });
}

import assert from 'node:assert/strict';
import test from 'node:test';

const { ChunkSizes, MIB, Meter, backOff, delayFrom, overlap, take, timeLeft, total, touched } =
  await import(`${process.env.STATIC}/upload-sizes.js`);
const KIB = 1024;

test('gaps are cut to a range, and an open end is its end', () => {
  assert.deepEqual(overlap([[0, 10], [20, null]], [5, 30]), [[5, 10], [20, 30]]);
  assert.deepEqual(overlap([[0, 10]], [10, 20]), []);
  assert.equal(total([[0, 3], [5, 9]]), 7);
});

test('chunks of one size end at its multiples, also after a gap', () => {
  const gaps = [[5, 25], [37, 40]];
  const sizes = new ChunkSizes({ fixed: 10 });
  const chunks = [];
  for (let chunk; (chunk = take(gaps, sizes)); ) chunks.push(chunk);
  assert.deepEqual(chunks, [[5, 10], [10, 20], [20, 25], [37, 40]]);
  assert.equal(touched([[5, 25], [26, 29], [37, 40]], 10), 4);
});

test('whatever the sizes, each byte is taken once', () => {
  for (const part of [1, MIB, 8 * MIB]) {
    const sizes = new ChunkSizes({ part });
    const gaps = [[3, 90 * MIB + 1], [91 * MIB, 200 * MIB]];
    let [at, taken] = [0, 0];
    for (let chunk, n = 0; (chunk = take(gaps, sizes)); n += 1) {
      assert.ok(chunk[0] >= at && chunk[1] > chunk[0]);
      assert.ok(chunk[1] - chunk[0] <= Math.max(sizes.size, part));
      [at, taken] = [chunk[1], taken + chunk[1] - chunk[0]];
      sizes.learn(chunk[1] - chunk[0], [100, 3000, 20_000][n % 3]);
    }
    assert.equal(taken, 199 * MIB - 2);
  }
});

test('big chunks end at a border of parts, small ones cross none', () => {
  const sizes = new ChunkSizes({ part: 8 * MIB });
  assert.equal(sizes.end(0), MIB);
  assert.equal(sizes.end(7.5 * MIB), 8 * MIB);
  for (let n = 0; n < 6; n += 1) sizes.learn(sizes.size, 500);
  assert.equal(sizes.size, 64 * MIB);
  assert.equal(sizes.end(3 * MIB), 64 * MIB);
});

test('a slow line makes chunks small, a fast one big, between 2 and 8 s nothing changes', () => {
  const sizes = new ChunkSizes();
  assert.equal(sizes.size, MIB);
  sizes.learn(MIB, 5000);
  assert.equal(sizes.size, MIB);
  sizes.learn(MIB, 24_000);
  assert.equal(sizes.size, 256 * KIB);
  sizes.learn(256 * KIB, 60_000);
  assert.equal(sizes.size, 256 * KIB);
  sizes.learn(10, 1);
  assert.equal(sizes.size, 256 * KIB, 'a crumb teaches nothing');
  for (let n = 0; n < 20; n += 1) sizes.learn(sizes.size, 100);
  assert.equal(sizes.size, 64 * MIB);
});

test('a loss halves, down to 256 KiB', () => {
  const sizes = new ChunkSizes();
  for (const size of [512, 256, 256]) {
    sizes.shrink();
    assert.equal(sizes.size, size * KIB);
  }
});

test('the limits of the server hold', () => {
  const sizes = new ChunkSizes({ most: 3 * MIB, wished: 8 * MIB });
  for (let n = 0; n < 9; n += 1) sizes.learn(sizes.size, 1);
  assert.equal(sizes.size, 3 * MIB);
  assert.equal(new ChunkSizes({ most: 1000 }).size, 1000);
  assert.equal(new ChunkSizes({ wished: 50_000 }).size, 50_000);
  const few = new ChunkSizes({ total: 1000 * MIB, maxChunks: 100 });
  few.shrink();
  assert.equal(few.size, 10 * MIB);
});

test('a proxy that takes no big chunk is learnt once', () => {
  const sizes = new ChunkSizes();
  assert.equal(sizes.refuse(MIB), true);
  for (let n = 0; n < 9; n += 1) sizes.learn(sizes.size, 1);
  assert.equal(sizes.size, 512 * KIB);
  assert.equal(sizes.refuse(512 * KIB), true);
  assert.equal(sizes.refuse(256 * KIB), false);
  assert.equal(new ChunkSizes({ fixed: MIB }).refuse(MIB), false);
});

test('waits double, are jittered in full, and begin after Retry-After', () => {
  const bounds = { first: 1000, most: 30_000 };
  const longest = [1, 2, 3, 4, 5, 6, 60].map((n) => backOff(n, { ...bounds, random: () => 1 }));
  assert.deepEqual(longest, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  assert.equal(backOff(9, { ...bounds, random: () => 0 }), 0);
  assert.equal(backOff(1, { ...bounds, least: 7000, random: () => 0.5 }), 7500);
});

test('Retry-After in seconds, as a date, and as nonsense', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(delayFrom('120'), 120_000);
  assert.equal(delayFrom('Thu, 01 Jan 2026 00:00:05 GMT', now), 5000);
  assert.equal(delayFrom('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
  assert.equal(delayFrom('soon'), undefined);
  assert.equal(delayFrom(null), undefined);
});

test('the speed is smooth and comes to the truth', () => {
  const meter = new Meter();
  let [now, loaded] = [0, 0];
  const run = (rate, seconds) => {
    let speed;
    for (let n = 0; n < seconds * 10; n += 1) {
      [now, loaded] = [now + 100, loaded + rate / 10];
      speed = meter.speed(loaded, now);
    }
    return speed;
  };
  assert.equal(meter.speed(0, 0), 0);
  assert.ok(Math.abs(run(1000, 5) - 1000) < 1);
  const after = run(2000, 1);
  assert.ok(after > 1200 && after < 1400, `${after}`);
  assert.ok(Math.abs(run(2000, 30) - 2000) < 10);
  meter.rest();
  now += 60_000;
  assert.ok(run(2000, 1) > 1900, 'a pause is no slowness');
});

test('the time left', () => {
  assert.equal(timeLeft(0, 0), 0);
  assert.equal(timeLeft(10, 0), null);
  assert.equal(timeLeft(10, 5), 2);
});

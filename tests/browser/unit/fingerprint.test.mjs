import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import test from 'node:test';

const { fingerprint } = await import(`${process.env.STATIC}/upload-run.js`);
const { Sha256, digestHere } = await import(`${process.env.STATIC}/file-digest.js`);

test('a fingerprint knows the head, the tail, the name, the folder and the server', async () => {
  const bytes = randomBytes(300_000);
  const of = (change, name = 'a', server = '', path = undefined) => {
    const copy = Buffer.from(bytes);
    for (const at of change) copy[at] ^= 1;
    return fingerprint(new Blob([copy]), name, server, path);
  };
  const first = await of([]);
  assert.equal(await of([]), first);
  const others = [of([0]), of([65_535]), of([299_999]), of([], 'b'), of([], 'a', '/files')];
  others.push(of([], 'a', '', 'box/a'));
  assert.equal(new Set([first, ...(await Promise.all(others))]).size, 7);
  assert.equal(await of([150_000]), first, 'the middle is not read');
});

test('a small blob is in its fingerprint as a whole', async () => {
  const of = (text) => fingerprint(new Blob([text]), 'a', '');
  assert.notEqual(await of('abc'), await of('abd'));
  assert.equal(await of(''), await of(''));
});

test('SHA-256 in pieces is the one of the whole, at every length', () => {
  for (let length = 0; length <= 200; length += 1) {
    const bytes = randomBytes(length);
    const cut = Math.floor(length / 3);
    const sum = new Sha256().update(bytes.subarray(0, cut)).update(bytes.subarray(cut)).hex();
    assert.equal(sum, createHash('sha256').update(bytes).digest('hex'), `${length}`);
  }
});

test('a blob of several steps', async () => {
  const bytes = randomBytes(9 * 1024 * 1024 + 5);
  const expected = createHash('sha256').update(bytes).digest('hex');
  assert.equal(await digestHere(new Blob([bytes])), expected);
});

test('a digest can be called off', async () => {
  await assert.rejects(digestHere(new Blob(['a']), AbortSignal.abort()), { name: 'AbortError' });
});

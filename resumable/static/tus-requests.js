/**
 * The requests of tus 1.0.0, for files and for recordings whose length nobody knows yet.
 *
 * Each gets `call(method, url, {headers, body, ...})`, which resolves with what the server said.
 */

import { UploadError } from './upload-run.js';

const VERSION = { 'Tus-Resumable': '1.0.0' };

/** The server's largest size; undefined where it tells none. */
export async function limit(call, endpoint) {
  const { header } = await call('OPTIONS', endpoint);
  return Number(header('Tus-Max-Size')) || undefined;
}

/** Makes an upload and resolves with its URL. Without a `size` the length is told by the `end`. */
export async function create(call, endpoint, size, fields) {
  const length = size === undefined ? { 'Upload-Defer-Length': 1 } : { 'Upload-Length': size };
  const headers = { ...VERSION, ...length, 'Upload-Metadata': metadata(fields) };
  const { header, status } = await call('POST', endpoint, { headers });
  const place = header('Location');
  if (place) return new URL(place, new URL(endpoint, globalThis.location?.href)).href;
  const message = 'The server made an upload and did not say where (is Location exposed by CORS?).';
  throw new UploadError(message, { status, code: 'no-location' });
}

/** How much the server has, and whether it knows how much there will be. */
export async function look(call, url) {
  const answer = await call('HEAD', url, { headers: VERSION });
  return { offset: offsetOf(answer), whole: answer.header('Upload-Length') !== null };
}

/** Adds bytes at `start`; resolves with how much the server has then. */
export async function append(call, url, start, { headers, ...order }) {
  const place = { 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': start };
  const all = { ...VERSION, ...place, ...headers };
  return offsetOf(await call('PATCH', url, { ...order, headers: all }).catch(elsewhere));
}

/** There is no more: the upload has `size` bytes, and the server has all of them. */
export function end(call, url, size) {
  // Without a body a browser sends no Content-Length, which tuspyserver asks for.
  return append(call, url, size, { headers: { 'Upload-Length': size }, body: new Blob() });
}

export function remove(call, url) {
  return call('DELETE', url, { headers: VERSION });
}

export function base64(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}

/** tus wants base64 of UTF-8, and keys without a blank or a comma. */
function metadata(fields) {
  const text = (value) => base64(new TextEncoder().encode(value));
  const pair = ([key, value]) => (value === '' ? key : `${key} ${text(String(value))}`);
  return Object.entries(fields).filter(([, value]) => value != null).map(pair).join(',');
}

/** What a header says as a number of bytes; an answer without it is a proxy's. */
function offsetOf({ status, header }) {
  const text = header('Upload-Offset');
  if (/^\d+$/.test(text ?? '')) return Number(text);
  const message = `The server answered with status ${status}, and no offset.`;
  throw new UploadError(message, { status, code: 'http', transient: true });
}

/** The offset was another one: a look at it, and the upload goes on. */
function elsewhere(error) {
  if (error.status !== 409) throw error;
  throw new UploadError(error.message, { status: 409, code: error.code, transient: true });
}

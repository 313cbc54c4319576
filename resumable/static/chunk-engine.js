/** How an upload is spoken of in the chunk protocol; an engine of `ChunkedUploader`. */

import { told } from './upload-request.js';
import { hex } from './upload-memory.js';

/** A new id with 128 random bits: who does not know it cannot touch the upload. */
export function newId() {
  const text = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
  return `upload_${text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`;
}

function statusPath(uploadId) {
  return `/upload-status/${encodeURIComponent(uploadId)}`;
}

/** The headers of one chunk; `sum` is the SHA-256 of its bytes. */
export function chunkHeaders({ uploadId, totalChunks, chunkSize, size }, { index, start, end, sum }) {
  const headers = { 'Content-Type': 'application/octet-stream', 'X-Upload-Id': uploadId };
  if (index !== undefined) headers['X-Chunk-Index'] = index;
  if (totalChunks !== undefined) headers['X-Total-Chunks'] = totalChunks;
  if (chunkSize !== undefined) headers['X-Chunk-Size'] = chunkSize;
  if (end > start) headers['Content-Range'] = `bytes ${start}-${end - 1}/${size ?? '*'}`;
  if (sum) headers['X-Chunk-Digest'] = `sha256:${hex(sum)}`;
  return headers;
}

export const chunkEngine = {
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

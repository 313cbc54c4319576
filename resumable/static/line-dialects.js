/**
 * How a line speaks: `ask` for the offset, `send` a chunk from the offset on, `finish`, `cancel`.
 *
 * Each gets `call(method, url, {body, headers, follow})`, which resolves with what the server said.
 */

import { UploadError } from './chunked-upload.js';

const TUS = { 'Tus-Resumable': '1.0.0' };

/** The chunk protocol, for an upload whose length nobody knows before its finish. */
export function chunks(endpoint, uploadId) {
  const status = `${endpoint}/upload-status/${encodeURIComponent(uploadId)}`;
  return {
    async ask(call) {
      const known = await call('GET', status).catch(unlessGone);
      // It is a file already: only the answer to the finish was lost.
      if (known?.json.path) return Infinity;
      return known?.json.offset ?? 0;
    },
    async send(call, body, start) {
      const headers = {
        'Content-Type': 'application/octet-stream',
        'Content-Range': `bytes ${start}-${start + body.size - 1}/*`,
        'X-Upload-Id': uploadId,
      };
      const { json } = await call('PUT', `${endpoint}/upload-chunk`, {
        body,
        headers,
        follow: true,
      });
      return told(json?.offset);
    },
    async finish(call, order) {
      const body = JSON.stringify({ ...order, uploadId });
      const headers = { 'Content-Type': 'application/json' };
      const { json } = await call('POST', `${endpoint}/finalize-upload`, { body, headers });
      told(json?.size);
      return json;
    },
    cancel: (call) => call('DELETE', status),
  };
}

/** tus 1.0.0. `memory` is a Storage, or null: there the URL is found again after a reload. */
export function tus(endpoint, { name, type, size, lastModified = 0 }, memory) {
  const key = ['resumable:tus', endpoint, name, type, size, lastModified].join('|');
  let url = memory?.getItem(key) ?? null;
  const create = async (call) => {
    const metadata = `filename ${base64(name)},filetype ${base64(type)}`;
    const headers = { ...TUS, 'Upload-Length': size, 'Upload-Metadata': metadata };
    const { header } = await call('POST', endpoint, { headers });
    url = new URL(header('Location'), new URL(endpoint, globalThis.location?.href)).href;
    memory?.setItem(key, url);
    return 0;
  };
  return {
    async ask(call) {
      if (!url) return create(call);
      const known = await call('HEAD', url, { headers: TUS }).catch(unlessGone);
      if (known) return told(number(known.header('Upload-Offset')));
      return create(call);
    },
    async send(call, body, start) {
      const headers = {
        ...TUS,
        'Content-Type': 'application/offset+octet-stream',
        'Upload-Offset': start,
      };
      const { header } = await call('PATCH', url, { body, headers, follow: true }).catch(
        ifElsewhere,
      );
      return told(number(header('Upload-Offset')));
    },
    async finish() {
      memory?.removeItem(key);
      return { url, filename: name, size };
    },
    async cancel(call) {
      memory?.removeItem(key);
      if (url) await call('DELETE', url, { headers: TUS });
    },
  };
}

function unlessGone(error) {
  if (error.status === 404 || error.status === 410) return null;
  throw error;
}

/** The offset was another one: a look at it, and the upload goes on. */
function ifElsewhere(error) {
  if (error.status !== 409) throw error;
  throw new UploadError(error.message, { status: 409, code: error.code, transient: true });
}

/** An answer without what it must tell is a proxy's, not the server's. */
function told(figure) {
  if (Number.isFinite(figure)) return figure;
  throw new UploadError('The server gave an answer that is none.', {
    code: 'http',
    transient: true,
  });
}

function number(text) {
  return text === null ? NaN : Number(text);
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

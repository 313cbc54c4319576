/**
 * How a recording is sent: `limit` tells the server's largest size, `ask` the offset; `send` a chunk
 * from the offset on, `finish`, `cancel`.
 *
 * Each gets `call(method, url, {body, headers, follow})`, which resolves with what the server said.
 */

import * as requests from './tus-requests.js';
import { UploadError } from './upload-run.js';

/** The chunk protocol, for an upload whose length nobody knows before its finish. */
export function chunks(endpoint, uploadId) {
  const status = `${endpoint}/upload-status/${encodeURIComponent(uploadId)}`;
  return {
    async limit(call) {
      const { json } = await call('GET', `${endpoint}/upload-config`);
      return json?.maxSize ?? undefined;
    },
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

/**
 * tus 1.0.0. `size` is that of a recording which has ended; without it the server must take uploads
 * without a length. `url` is that of an upload which was begun earlier, or null; `keep(url)` is told
 * of a new one before a byte is sent there.
 */
export function tus(endpoint, { fields, size, url = null }, keep) {
  let whole = false;
  const make = async (call) => {
    url = await requests.create(call, endpoint, size, fields);
    whole = size !== undefined;
    await keep(url);
    return 0;
  };
  return {
    limit: (call) => requests.limit(call, endpoint),
    async ask(call) {
      const known = url && (await requests.look(call, url).catch(unlessGone));
      if (!known) return make(call);
      whole = known.whole;
      return known.offset;
    },
    send: (call, body, start) => requests.append(call, url, start, { body, follow: true }),
    async finish(call, { filename, totalSize }) {
      // The length is said once: a server refuses to hear it again.
      if (!whole) await requests.end(call, url, totalSize);
      return { url, path: url, filename, size: totalSize };
    },
    async cancel(call) {
      if (url) await requests.remove(call, url);
    },
  };
}

function unlessGone(error) {
  if (error.status === 404 || error.status === 410) return null;
  throw error;
}

/** An answer without what it must tell is a proxy's, not the server's. */
function told(figure) {
  if (Number.isFinite(figure)) return figure;
  throw new UploadError('The server gave an answer that is none.', {
    code: 'http',
    transient: true,
  });
}

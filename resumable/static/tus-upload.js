/** Uploads to any tus 1.0.0 server, with the pauses, retries, memory and figures of `ChunkedUploader`. */

import { ChunkedUploader, UploadError } from './chunked-upload.js';

const VERSION = { 'Tus-Resumable': '1.0.0' };

/** tus wants base64 of UTF-8, and keys without a blank or a comma. */
function metadata(fields) {
  const text = (value) => btoa(String.fromCharCode(...new TextEncoder().encode(value)));
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

function engine(extra) {
  return {
    // tus takes the bytes of an upload in their order.
    lanes: 1,
    algorithm: 'SHA-1',
    async limits(call, run) {
      const { header } = await call(run, 'OPTIONS', '');
      return { maxSize: Number(header('Tus-Max-Size')) || undefined };
    },
    async open(call, run) {
      const { filename, blob, size } = run;
      const fields = { filename, filetype: blob.type ?? '', ...extra, ...run.options.metadata };
      const headers = { ...VERSION, 'Upload-Length': size, 'Upload-Metadata': metadata(fields) };
      const { header, status } = await call(run, 'POST', '', { headers });
      const place = header('Location');
      if (!place) {
        const message = 'The server made an upload and did not say where (is Location exposed by CORS?).';
        throw new UploadError(message, { status, code: 'no-location' });
      }
      run.uploadId = new URL(place, run.endpoint).href;
    },
    async status(call, run) {
      const offset = offsetOf(await call(run, 'HEAD', run.uploadId, { headers: VERSION }));
      return { offset, missing: [[offset, run.size]] };
    },
    async put(call, run, { start, end, sum }, body, onSent) {
      const headers = { ...VERSION, 'Content-Type': 'application/offset+octet-stream' };
      headers['Upload-Offset'] = start;
      if (sum) headers['Upload-Checksum'] = `sha1 ${btoa(String.fromCharCode(...new Uint8Array(sum)))}`;
      const arrived = await call(run, 'PATCH', run.uploadId, { headers, body, onSent }).catch(elsewhere);
      if (offsetOf(arrived) !== end) throw new UploadError('Not all of it arrived.', { transient: true });
    },
    async finish(call, run) {
      return { url: run.uploadId, filename: run.filename, size: run.size };
    },
    discard: (call, run) => call(run, 'DELETE', run.uploadId, { headers: VERSION }),
  };
}

/** The offset was another one: a look at it, and the upload goes on. */
function elsewhere(error) {
  if (error.status !== 409) throw error;
  throw new UploadError(error.message, { status: 409, code: error.code, transient: true });
}

export class TusUploader extends ChunkedUploader {
  constructor({ endpoint, metadata: fields = {}, ...options } = {}) {
    super({ ...options, baseUrl: endpoint, engine: engine(fields) });
    this.baseUrl = endpoint ?? '';
  }

  /** tus has one way for every size. */
  smartUpload(blob, filename, options) {
    return this.upload(blob, filename, options);
  }

  uploadDirect(blob, filename, options) {
    return this.upload(blob, filename, options);
  }
}

/** Uploads to any tus 1.0.0 server, with the pauses, retries, memory and figures of `ChunkedUploader`. */

import { ChunkedUploader, UploadError } from './chunked-upload.js';
import { append, base64, create, limit, look, remove } from './tus-requests.js';

function engine(extra) {
  return {
    // tus takes the bytes of an upload in their order.
    lanes: 1,
    algorithm: 'SHA-1',
    async limits(call, run) {
      // A server of another origin may allow uploads and not this question: it has its own word later.
      return { maxSize: await limit(by(call, run), '').catch(() => undefined) };
    },
    async open(call, run) {
      const { filename, blob, size, endpoint, options } = run;
      const about = { filename, filetype: blob.type ?? '', relativePath: options.relativePath };
      const fields = { ...about, ...extra, ...options.metadata };
      run.uploadId = await create(by(call, run), endpoint, size, fields);
    },
    async status(call, run) {
      const { offset } = await look(by(call, run), run.uploadId);
      return { offset, missing: [[offset, run.size]] };
    },
    async put(call, run, { start, end, sum }, body, onSent) {
      const headers = sum ? { 'Upload-Checksum': `sha1 ${base64(sum)}` } : {};
      const offset = await append(by(call, run), run.uploadId, start, { headers, body, onSent });
      if (offset !== end) throw new UploadError('Not all of it arrived.', { transient: true });
    },
    async finish(call, run) {
      return { url: run.uploadId, filename: run.filename, size: run.size };
    },
    discard: (call, run) => remove(by(call, run), run.uploadId),
  };
}

function by(call, run) {
  return (...order) => call(run, ...order);
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

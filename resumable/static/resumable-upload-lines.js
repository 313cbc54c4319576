/** The two ways to a server that `<resumable-upload>` knows, behind one face. */

import { ChunkedUploader } from './chunked-upload.js';
import { TusUploader } from './tus-upload.js';

/** `{run(), pause(), resume(), abort(), cancel()}` for the file of a row. */
export function connect({ protocol, endpoint, options, headers, settings }, row) {
  const { file, name, relativePath } = row.entry;
  const onRetry = (retry) => row.delayed(retry);
  const onProgress = (progress) => row.moved(progress);
  const told = { maxRetries: Infinity, headers, onRetry, ...settings, onProgress };
  const uploader =
    protocol === 'tus'
      ? new TusUploader({ endpoint, ...told })
      : new ChunkedUploader({ baseUrl: endpoint, ...told });
  return {
    run: () => uploader.upload(file, name, relativePath ? { ...options, relativePath } : options),
    pause: () => uploader.pause(),
    resume: () => uploader.resume(),
    abort: () => uploader.abort(),
    cancel: () => uploader.cancel(row.progress?.uploadId),
  };
}

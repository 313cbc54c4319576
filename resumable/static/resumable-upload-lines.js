/** The two ways to a server that `<resumable-upload>` knows, behind one face. */

import { ChunkedUploader } from './chunked-upload.js';

/** Resolves with `{run(), pause(), resume(), abort(), cancel()}` for the file of a row. */
export function connect({ protocol, endpoint, options, headers, settings }, row) {
  const told = {
    maxRetries: Infinity,
    headers,
    onProgress: (progress) => row.moved(progress),
    onRetry: (retry) => row.delayed(retry),
    ...settings,
  };
  if (protocol === 'tus') return overTus(endpoint, options, told, row);
  return overChunks(endpoint, options, told, row);
}

function overChunks(baseUrl, options, settings, row) {
  const uploader = new ChunkedUploader({ baseUrl, ...settings });
  const { file, name } = row.entry;
  return {
    run: () => uploader.upload(file, name, options),
    pause: () => uploader.pause(),
    resume: () => uploader.resume(),
    abort: () => uploader.abort(),
    cancel: () => uploader.cancel(row.progress?.uploadId),
  };
}

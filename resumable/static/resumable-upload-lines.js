/** The two ways to a server that `<resumable-upload>` knows, behind one face. */

import { ChunkedUploader } from './chunked-upload.js';
import { tus } from './line-dialects.js';
import { LiveLine } from './live-line.js';

const SPEED_SPAN = 5000;

/** `{run(), pause(), resume(), abort(), cancel()}` for the file of a row. */
export function connect({ protocol, endpoint, options, headers, settings }, row) {
  const onRetry = (retry) => row.delayed(retry);
  if (protocol === 'tus') return overTus(endpoint, { headers, onRetry, ...settings }, row);
  const told = { maxRetries: Infinity, headers, onRetry, ...settings };
  const onProgress = (progress) => row.moved(progress);
  const uploader = new ChunkedUploader({ baseUrl: endpoint, ...told, onProgress });
  const { file, name } = row.entry;
  return {
    run: () => uploader.upload(file, name, options),
    pause: () => uploader.pause(),
    resume: () => uploader.resume(),
    abort: () => uploader.abort(),
    cancel: () => uploader.cancel(row.progress?.uploadId),
  };
}

function overTus(endpoint, settings, row) {
  const { entry } = row;
  const memory = settings.storage === undefined ? storage() : settings.storage;
  const measure = meter(entry.size);
  const tell = (loaded, acknowledged) => row.moved(measure(loaded, acknowledged));
  let line;
  return {
    run() {
      const dialect = tus(endpoint, entry, memory);
      const onAcknowledged = (offset) => tell(offset, offset);
      const onSent = (bytes) => tell(line.offset + bytes, line.offset);
      line = new LiveLine({ ...settings, dialect, known: true, onAcknowledged, onSent });
      line.push(entry.file);
      return line.finish({ filename: entry.name });
    },
    pause: () => line.pause(),
    resume: () => line.resume(),
    abort: () => line.abort(),
    cancel: () => line.cancel(),
  };
}

/** The figures of a progress, which never go back. */
function meter(total) {
  const samples = [];
  let most = 0;
  return (sent, acknowledged) => {
    most = Math.max(most, Math.min(total, sent));
    const now = performance.now();
    samples.push([now, most]);
    while (samples.length > 2 && samples[0][0] < now - SPEED_SPAN) samples.shift();
    const [since, from] = samples[0];
    const speed = now > since ? ((most - from) * 1000) / (now - since) : 0;
    const eta = most === total ? 0 : speed > 0 ? (total - most) / speed : null;
    const progress = total ? (100 * most) / total : 0;
    return { loaded: most, total, acknowledged, progress, speed, eta, phase: 'uploading' };
  };
}

function storage() {
  try {
    return globalThis.localStorage;
  } catch {
    return null;
  }
}

/** One request to the server, and what its failure means. */

import { delayFrom } from './upload-sizes.js';

const RETRIED = new Set([408, 422, 423, 425, 429, 460]);
const FINAL = new Set([501, 505]);

/** Why a request failed. `status` is 0 without an answer; a `transient` failure may pass by itself. */
export class UploadError extends Error {
  name = 'UploadError';

  constructor(message, { status = 0, code = 'network', transient = false, retryAfter } = {}) {
    super(message);
    Object.assign(this, { status, code, transient, retryAfter });
  }
}

/** What `pause()` makes of the requests that it drops; never leaves the uploader. */
export const PAUSED = new UploadError('The upload is paused.', { code: 'paused', transient: true });

/** Resolves with `{status, json, header(name)}` of a success; rejects with an UploadError. */
export function request(run, method, url, { headers, body, onSent, timeout, withCredentials }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let timer;
    const fail = (message, code) =>
      reject(run?.paused ? PAUSED : new UploadError(message, { code, transient: true }));
    const stalled = () => {
      fail('The server did not answer in time.', 'timeout');
      xhr.abort();
    };
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(stalled, timeout);
    };
    xhr.open(method, url);
    xhr.withCredentials = withCredentials;
    for (const entry of Object.entries(headers)) xhr.setRequestHeader(...entry);
    if (onSent) {
      xhr.upload.onprogress = (event) => {
        alive();
        onSent(event.loaded, event.total);
      };
    }
    xhr.onload = () => settle(xhr, resolve, reject);
    xhr.onerror = () => fail('The server cannot be reached.', 'network');
    xhr.onabort = () => fail('The request was dropped.', 'aborted');
    xhr.onloadend = () => {
      clearTimeout(timer);
      run?.requests.delete(xhr);
    };
    run?.requests.add(xhr);
    alive();
    xhr.send(body ?? null);
  });
}

function settle(xhr, resolve, reject) {
  const { status } = xhr;
  const header = (name) => xhr.getResponseHeader(name);
  let json = null;
  try {
    json = JSON.parse(xhr.responseText);
  } catch {
    // A proxy's error page, or an answer without a body.
  }
  if (status >= 200 && status < 300) return resolve({ status, json, header });
  const message = json?.error ?? `The server answered with status ${status}.`;
  const transient = RETRIED.has(status) || (status >= 500 && !FINAL.has(status));
  const retryAfter = delayFrom(header('Retry-After'));
  return reject(new UploadError(message, { status, code: json?.code ?? 'http', transient, retryAfter }));
}

/** The JSON of an answer; a success without it is a proxy's, not the server's. */
export function told({ status, json }) {
  if (status === 204 || json) return json ?? {};
  const message = `The server answered with status ${status}, and nothing that can be understood.`;
  throw new UploadError(message, { status, code: 'http', transient: true });
}

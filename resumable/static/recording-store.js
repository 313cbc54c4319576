/**
 * One list of recordings: those that only this browser has yet, and those on the server.
 *
 *     const store = new RecordingStore();
 *     for (const { name, size, duration, url } of await store.list()) console.log(name, url);
 *
 * Sizes are bytes, durations seconds, moments milliseconds since 1970. Types: recording-store.d.ts.
 */

import {
  allRecordings,
  bytesKept,
  changeRecording,
  changes,
  dropRecording,
  dropSlices,
  getRecording,
  getSlices,
  idsAtWork,
  newId,
  ownEndpoint,
  putRecording,
  putSlice,
} from './local-store.js';

/** What a recording of this browser tells that the server does not. */
const OURS = ['id', 'uploadId', 'options', 'duration', 'created', 'size', 'type', 'failure'];

/** Why the server did not do what the list needs. `status` is 0 without an answer. */
export class StoreError extends Error {
  name = 'StoreError';

  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Tells `change` when a recording of this browser comes, changes or goes, in any tab. */
export class RecordingStore extends EventTarget {
  /** False once the server said that it keeps no list for callers. */
  listed = true;
  #known = new Map();
  #heard = () => this.dispatchEvent(new Event('change'));

  constructor({ endpoint = ownEndpoint(), headers = {}, withCredentials = false } = {}) {
    super();
    this.endpoint = endpoint.replace(/\/+$/, '');
    this.headers = headers;
    this.credentials = withCredentials ? 'include' : 'same-origin';
    changes.addEventListener('change', this.#heard);
  }

  /** Ends the news of changes. */
  close() {
    changes.removeEventListener('change', this.#heard);
  }

  /** Newest first. Rejects with a StoreError when the server cannot be asked; see `local()`. */
  async list() {
    const [local, server] = await Promise.all([this.local(), this.#server()]);
    return this.#merged(local, server);
  }

  /** What this browser knows, without asking the server. */
  async local() {
    const [recordings, bytes, busy] = await Promise.all([
      allRecordings().catch(() => []),
      bytesKept().catch(() => new Map()),
      idsAtWork(),
    ]);
    return recordings
      .filter(({ endpoint }) => endpoint === this.endpoint)
      .map((recording) => this.#ours(recording, bytes.get(recording.id) ?? 0, busy))
      .sort(newest);
  }

  /** Keeps a blob here, as a recording that can be uploaded, saved or removed later. */
  async keep(blob, { name = blob.name ?? 'Recording', ...about } = {}) {
    const { size, type } = blob;
    const created = Date.now();
    const id = newId();
    const { endpoint } = this;
    await putRecording({
      options: {},
      created,
      ...about,
      id,
      endpoint,
      name,
      type,
      size,
      ended: true,
    });
    if (size) await putSlice({ recording: id, start: 0, end: size, blob });
    return this.get(id);
  }

  /** Remembers what the server does not tell of a finished upload, such as its duration. */
  async note(answer, about = {}) {
    const { filename: name, size, type, path, url } = answer;
    const finished = (answer.finished ?? Date.now() / 1000) * 1000;
    const { job = null, status_url: statusUrl = null } = answer;
    const server = { path, url, finished, job, statusUrl, endpoint: this.endpoint };
    const told = { name, size, type, ended: true, ...server };
    const id = about.id ?? answer.uploadId ?? path;
    await putRecording({ options: {}, created: finished, ...about, ...told, id });
  }

  async get(id) {
    return (await this.local()).find((recording) => recording.id === id) ?? null;
  }

  /** All that this browser still has of a recording; of one that is on its way, the unsent end. */
  async blob({ id, type }) {
    const slices = id ? await getSlices(id) : [];
    return new Blob(
      slices.map(({ blob }) => blob),
      { type },
    );
  }

  /** Saves a recording as a file: from the server where it is, else from this browser. */
  async save(recording) {
    const link = document.createElement('a');
    link.download = recording.name;
    link.href = recording.downloadUrl ?? URL.createObjectURL(await this.blob(recording));
    link.click();
    if (!recording.downloadUrl) setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /**
   * Deletes on the server and here; `{server: false}` only here. What the server refuses to delete
   * stays here too. Rejects with a StoreError.
   */
  async remove({ id, url, uploadId, state }, { server = true } = {}) {
    if (server && url) await this.#delete(url, 'This server does not let you delete recordings.');
    else if (server && uploadId && state !== 'kept') {
      const path = `/upload-status/${encodeURIComponent(uploadId)}`;
      await this.#delete(this.endpoint + path, 'The server does not let go of the upload.');
    }
    for (const [path, known] of this.#known) if (known.url === url) this.#known.delete(path);
    if (id) await dropRecording(id);
    else this.#heard();
  }

  /** Drops what this browser still has of a recording that the server has whole. */
  async free({ id }) {
    const recording = await getRecording(id);
    if (recording?.path) await dropSlices(id);
  }

  /**
   * How far the server is with a recording: `{state, percent, secondsLeft, results, error, notes}`,
   * or null when it has no job. States are 'queued', 'running', 'done', 'failed', 'cancelled'.
   */
  async job({ id, statusUrl }) {
    if (!statusUrl) return null;
    const answer = await this.#ask('GET', this.#address(statusUrl));
    if (answer.status === 404) return null;
    if (!answer.ok) throw await refusal(answer);
    const told = await answer.json();
    const {
      state,
      percent = null,
      secondsLeft = null,
      error = null,
      notes = [],
      facts = {},
    } = told;
    const results = this.#made(told.results ?? []);
    const { duration } = facts;
    if (id && state === 'done')
      await changeRecording(id, { results, ...(duration && { duration }) });
    return { state, percent, secondsLeft, error, notes, results };
  }

  /**
   * Has the server make something of a recording that it has; resolves with the recording, whose
   * `job()` is now the new one. Rejects with a StoreError where nothing is wished, for instance.
   */
  async process(recording, options) {
    const body = JSON.stringify({ recording: recording.path, options });
    const answer = await this.#ask('POST', `${this.endpoint}/jobs`, body);
    if (!answer.ok) throw await refusal(answer);
    const { job, status_url: statusUrl } = await answer.json();
    if (recording.id) await changeRecording(recording.id, { job, statusUrl, results: [] });
    return { ...recording, job, statusUrl, results: [] };
  }

  /** Ends the server's work on a recording; the recording stays as it was sent. */
  async cancelJob({ statusUrl }) {
    await this.#delete(this.#address(statusUrl), 'The server does not let go of the work.');
  }

  #made(results) {
    return results.map((result) => ({ ...result, url: this.#address(result.url) }));
  }

  /** `{usage, quota, kept, persisted}`: bytes, null where the browser does not say. */
  async space() {
    const { usage = null, quota = null } = (await navigator.storage?.estimate?.()) ?? {};
    const bytes = await bytesKept().catch(() => new Map());
    const kept = [...bytes.values()].reduce((sum, size) => sum + size, 0);
    return { usage, quota, kept, persisted: (await navigator.storage?.persisted?.()) ?? false };
  }

  /** Asks the browser not to clear this page's storage when the disk fills up. */
  async persist() {
    return (await navigator.storage?.persist?.()) ?? false;
  }

  #ours(recording, kept, busy) {
    const { id, path, url } = recording;
    const at = busy.has(id);
    const state = path ? 'finished' : at ? 'busy' : recording.ended ? 'kept' : 'broken';
    const address = url ? this.#address(url) : null;
    const { name, finished = null, results = [], job = null, statusUrl = null } = recording;
    const ours = Object.fromEntries(OURS.map((field) => [field, recording[field] ?? null]));
    const server = { path: path ?? null, finished, results, job, statusUrl };
    return { ...ours, ...server, name, state, kept, ...links(address) };
  }

  #theirs(entry) {
    const { path, url, filename, size, type, finished, duration = null, options = null } = entry;
    const { job = null, status_url: statusUrl = null } = entry;
    const results = this.#made(entry.results ?? []);
    const about = { id: null, uploadId: null, name: filename, type, size, duration, options, path };
    const moment = finished * 1000;
    const state = { created: moment, finished: moment, state: 'finished', kept: 0, failure: null };
    return { ...about, ...state, results, job, statusUrl, ...links(this.#address(url)) };
  }

  /** Each recording once: the server's word counts, and ours for what it does not say. */
  #merged(local, server) {
    const theirs = new Map(server.map((entry) => [entry.path, this.#theirs(entry)]));
    const both = local.map((ours) => {
      const entry = theirs.get(ours.path);
      if (!entry) return ours;
      theirs.delete(ours.path);
      const said = Object.entries(entry).filter(([, value]) => value !== null);
      const { kept, created } = ours;
      const results = entry.results.length ? entry.results : ours.results;
      return { ...ours, ...Object.fromEntries(said), kept, created, results };
    });
    const gone = ({ path, kept }) => path && !kept && this.listed && !this.#known.has(path);
    return [...both.filter((one) => !gone(one)), ...theirs.values()].sort(newest);
  }

  async #server() {
    const answer = await this.#ask('GET', `${this.endpoint}/recordings`);
    this.listed = answer.ok;
    if (answer.status >= 500) throw await refusal(answer);
    if (!answer.ok) return [];
    const { recordings } = await answer.json();
    this.#known = new Map(recordings.map((entry) => [entry.path, entry]));
    return recordings;
  }

  async #delete(url, refused) {
    const answer = await this.#ask('DELETE', url);
    if (answer.ok || answer.status === 404 || answer.status === 410) return;
    if (answer.status === 405 || answer.status === 403)
      throw new StoreError(refused, answer.status);
    throw await refusal(answer);
  }

  async #ask(method, url, body) {
    const own = typeof this.headers === 'function' ? this.headers() : this.headers;
    const headers = body ? { 'Content-Type': 'application/json', ...own } : own;
    try {
      return await fetch(url, { method, headers, body, credentials: this.credentials });
    } catch {
      throw new StoreError('The server cannot be reached.');
    }
  }

  /** The server tells paths on its own origin. */
  #address(url) {
    return new URL(url, new URL(this.endpoint || '/', globalThis.location?.href)).href;
  }
}

function links(url) {
  return { url, downloadUrl: url && `${url}?download=1` };
}

function newest(one, other) {
  return (other.finished ?? other.created) - (one.finished ?? one.created);
}

async function refusal(answer) {
  const { error } = await answer.json().catch(() => ({}));
  return new StoreError(
    error ?? `The server answered with status ${answer.status}.`,
    answer.status,
  );
}

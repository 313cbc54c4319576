/**
 * Recordings that are uploaded while they run.
 *
 *     const recorder = new LiveRecorder({ options: { convertToMp4: true } });
 *     await recorder.start('screen');
 *     stopButton.onclick = () => recorder.stop();
 *     const { url } = await recorder.finished;
 *
 * Each slice is in IndexedDB before it is sent, and leaves when the server has acknowledged it. After
 * a crash or a reload `LiveRecorder.unfinished()` lists what can be finished or discarded.
 *
 * Sizes are bytes, durations seconds. Types: live-recorder.d.ts.
 */

import { chunkedUploader } from './chunked-upload.js';
import { chunks, tus } from './line-dialects.js';
import { LiveLine } from './live-line.js';
import { nameFor, openSource, supportedSources } from './live-sources.js';
import { guardLeaving, keepAwake } from './live-page.js';
import * as local from './local-store.js';

const DEFAULTS = { sliceDuration: 1000, wakeLock: true, guard: true, keepAll: false, options: {} };

export class LiveRecorder extends EventTarget {
  /** 'idle', 'recording', 'paused', 'finishing', 'done', 'failed' or 'discarded'. */
  state = 'idle';
  id = local.newId();
  name = '';
  type = '';
  stream = null;
  /** Bytes sliced so far, and how many of them the server has acknowledged, without a gap. */
  size = 0;
  acknowledged = 0;
  error = null;
  #recorder = null;
  #line = null;
  #most = Infinity;
  #widest = 0;
  #work = Promise.resolve();
  #ended = local.deferred();
  #settled = local.deferred();
  #clock = { before: 0, since: null };
  #unkept = 0;
  #stored = true;

  constructor(settings = {}) {
    super();
    this.settings = { ...DEFAULTS, ...settings };
    this.protocol = settings.protocol ?? 'chunks';
    this.endpoint = placeOf(settings);
    this.options = { ...this.settings.options };
    this.#settled.promise.catch(() => {});
  }

  /** Which of 'screen', 'camera' and 'microphone' can be recorded on this page. */
  static sources() {
    return supportedSources();
  }

  /** Recordings of this endpoint that were cut short or not sent whole, and that no tab works on. */
  static async unfinished(settings = {}) {
    const [all, bytes, busy] = await Promise.all([
      local.allRecordings(),
      local.bytesKept(),
      local.idsAtWork(),
    ]);
    const place = placeOf(settings);
    const left = all.filter((one) => one.endpoint === place && !one.path && !busy.has(one.id));
    // A page that died before the first slice has left nothing but a name.
    for (const { id, size } of left) if (!size) await local.dropRecording(id);
    return left.filter(({ size }) => size).map((one) => ({ ...one, kept: bytes.get(one.id) ?? 0 }));
  }

  /** Sends the rest of an unfinished recording; look at its `finished`. */
  static resume(id, settings = {}) {
    const recorder = new LiveRecorder(settings);
    recorder.id = id;
    recorder.#hold(() => recorder.#restore()).catch((error) => recorder.#fail(error));
    return recorder;
  }

  /** Deletes an unfinished recording here and on the server. */
  static async discard(id, settings = {}) {
    const recording = await local.getRecording(id);
    await local.dropRecording(id);
    if (!recording?.uploadId) return;
    await new LiveLine({ ...settings, dialect: dialectOf(recording, settings) }).cancel();
  }

  /** The server's answer when it has the whole recording; rejects when that is refused for good. */
  get finished() {
    return this.#settled.promise;
  }

  /** Seconds recorded so far; pauses do not count. */
  get duration() {
    const { before, since } = this.#clock;
    return (before + (since === null ? 0 : performance.now() - since)) / 1000;
  }

  /** Bytes that the server has not acknowledged yet. */
  get pending() {
    return this.size - this.acknowledged;
  }

  /**
   * Begins to record 'screen', 'camera', 'microphone', a MediaStream, or a MediaRecorder that does
   * not run yet. Rejects as the browser does when the user says no.
   */
  async start(source = 'screen', { name, options } = {}) {
    if (this.state !== 'idle') throw new TypeError('A LiveRecorder records once: make another.');
    const { recorder, title, own } = await openSource(source, this.settings);
    this.#recorder = recorder;
    this.stream = recorder.stream;
    this.options = { ...this.options, ...options };
    await new Promise((begun, failed) => {
      const work = async () => {
        try {
          await this.#begin(recorder, { title, name });
          begun();
          await this.#ended.promise;
        } finally {
          if (own) for (const track of this.stream.getTracks()) track.stop();
        }
        await this.#finish();
      };
      this.#hold(work).catch((error) => {
        failed(error);
        this.#fail(error);
      });
    });
  }

  pause() {
    if (this.state !== 'recording') return;
    this.#recorder.pause();
    this.#tick(false);
    this.#become('paused');
  }

  resume() {
    if (this.state !== 'paused') return;
    this.#recorder.resume();
    this.#tick(true);
    this.#become('recording');
  }

  /** Ends the recording; resolves as `finished` does. */
  stop() {
    if (this.#recorder && this.#recorder.state !== 'inactive') this.#recorder.stop();
    return this.finished;
  }

  /** Stops sending for now; the recording runs on, its slices wait in IndexedDB. */
  hold() {
    this.#line?.pause();
  }

  /** Sends again, after `hold()` or at once instead of after the wait before the next try. */
  send() {
    this.#line?.resume();
  }

  /** Ends the recording and deletes it, here and on the server. */
  async discard() {
    if (['done', 'discarded'].includes(this.state)) return;
    this.#become('discarded');
    this.stop().catch(() => {});
    await this.#work;
    await local.dropRecording(this.id).catch(() => {});
    this.#ended.resolve();
    await this.#line?.cancel().catch(() => {});
    this.#settled.reject(new DOMException('The recording was discarded.', 'AbortError'));
  }

  async #begin(recorder, { title, name }) {
    const type = recorder.mimeType || 'video/webm';
    this.type = type;
    this.name = name ?? nameFor(title, type);
    recorder.addEventListener('dataavailable', ({ data }) => data.size && this.#take(data));
    recorder.addEventListener('stop', () => this.#stopped());
    recorder.addEventListener('error', ({ error }) => this.#tell('warning', { error }));
    // The user ends the sharing in the browser's own bar; sound alone would go on.
    const [first] = [...this.stream.getVideoTracks(), ...this.stream.getTracks()];
    first?.addEventListener('ended', () => this.stop().catch(() => {}));
    await this.#open();
    recorder.start(this.settings.sliceDuration);
    this.#tick(true);
    this.#become('recording');
    this.#watch();
  }

  async #open() {
    const { id, endpoint, protocol, name, type, options } = this;
    // With tus it is the URL that the server will tell.
    const uploadId = protocol === 'tus' ? null : chunkedUploader.generateUploadId();
    const about = { id, endpoint, protocol, name, type, options, uploadId };
    const fresh = { created: Date.now(), size: 0, duration: 0, ended: false };
    await local
      .putRecording({ ...about, ...fresh })
      .catch((error) => this.#tell('warning', { error }));
    this.#line = this.#connect(uploadId);
    this.#mind().catch(() => {});
  }

  /** A recording of an earlier page has ended with `size` bytes, of which the server may have some. */
  #connect(uploadId, size) {
    const line = new LiveLine({
      ...this.settings.line,
      headers: this.settings.headers,
      withCredentials: this.settings.withCredentials,
      dialect: dialectOf({ ...this, uploadId }, this.settings, size),
      // With tus the first question makes the upload.
      known: size !== undefined || !uploadId,
      onAcknowledged: (offset) => this.#acknowledge(offset),
      onRetry: (retry) => this.#tell('retry', retry),
    });
    line.answer.catch((error) => this.#refused(error));
    return line;
  }

  #acknowledge(offset) {
    this.acknowledged = Math.min(offset, this.size);
    local.dropSlices(this.id, offset).catch(() => {});
    this.#watch();
    this.#tell('progress');
  }

  /** The server will not take it: the recording runs on, and stays here. */
  #refused(error) {
    if (['recording', 'paused'].includes(this.state)) this.#tell('warning', { error });
  }

  /** A recording ends before it is more than the server takes: what was recorded is whole then. */
  async #mind() {
    this.#most = (await this.#line.limit()) ?? Infinity;
  }

  /** What an earlier page had not sent. */
  async #restore() {
    const recording = await local.getRecording(this.id);
    if (!recording || recording.path) throw new DOMException('It is not here.', 'NotFoundError');
    const { name, type, options, size, endpoint, protocol = 'chunks', duration = 0 } = recording;
    const fresh = protocol === 'tus' ? null : chunkedUploader.generateUploadId();
    const uploadId = recording.uploadId ?? fresh;
    await local.changeRecording(this.id, { uploadId, failure: null });
    Object.assign(this, { name, type, options, size, endpoint, protocol });
    this.#clock.before = duration * 1000;
    const slices = await local.getSlices(this.id);
    this.#line = this.#connect(uploadId, size);
    for (const { start, blob } of slices) this.#line.push(blob, start);
    this.#become('finishing');
    await this.#finish();
  }

  /** First to the disk, then to the line: whoever dies between has lost nothing. */
  #take(blob) {
    const [start, end] = [this.size, this.size + blob.size];
    const { id: recording, duration } = this;
    this.size = end;
    this.#work = this.#work.then(async () => {
      if (this.state === 'discarded') return;
      try {
        await local.putSlice({ recording, start, end, blob }, { duration });
      } catch (error) {
        // No room here: the page must stay open until the server has it.
        this.#unkept = end;
        this.#watch();
        this.#tell('warning', { error });
      }
      this.#line.push(blob, start);
      this.#tell('progress');
    });
    this.#widest = Math.max(this.#widest, blob.size);
    if (end + 2 * this.#widest > this.#most) this.#full();
  }

  #full() {
    // The last slice comes after the stop.
    if (this.#recorder.state === 'inactive') return;
    const message = 'The server takes no more: the recording has ended.';
    this.#tell('warning', { error: new DOMException(message, 'QuotaExceededError') });
    this.stop().catch(() => {});
  }

  #stopped() {
    this.#tick(false);
    this.#stored = false;
    if (this.state !== 'discarded') this.#become('finishing');
    this.#watch();
    this.#ended.resolve();
  }

  async #finish() {
    await this.#work;
    if (this.state === 'discarded') return;
    const { id, options, duration, size, name } = this;
    if (!size) throw new DOMException('Nothing was recorded.', 'NotReadableError');
    await local.changeRecording(id, { options, duration, ended: true }).catch(() => {});
    this.#stored = true;
    this.#watch();
    const answer = await this.#line.finish({ filename: name, options, size });
    await this.#finished(answer);
  }

  async #finished(answer) {
    const { path, url, filename: name, job = null, status_url: statusUrl = null } = answer;
    const finished = (answer.finished ?? Date.now() / 1000) * 1000;
    const { type, size } = answer;
    const about = { path, url, name, type: type ?? this.type, size, finished, job, statusUrl };
    await local.changeRecording(this.id, about).catch(() => {});
    await local.dropSlices(this.id).catch(() => {});
    this.acknowledged = this.size;
    this.#unkept = 0;
    this.#become('done');
    this.#watch();
    this.#tell('finish', answer);
    this.#settled.resolve(answer);
  }

  #fail(error) {
    if (this.state === 'discarded') return;
    this.#stored = true;
    this.error = error;
    local.changeRecording(this.id, { failure: error.message }).catch(() => {});
    this.#become('failed');
    this.#watch();
    this.#tell('error', { error });
    this.#settled.reject(error);
  }

  /** Only one tab works on a recording. */
  #hold(work) {
    return local.whenOurs(this.id, work);
  }

  #tick(on) {
    const clock = this.#clock;
    if (clock.since !== null) clock.before += performance.now() - clock.since;
    clock.since = on ? performance.now() : null;
  }

  #become(state) {
    this.state = state;
    this.#tell('statechange');
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Settles what the page owes the recording at this moment. */
  #watch() {
    const runs = ['recording', 'paused'].includes(this.state);
    const { guard, wakeLock } = this.settings;
    const loses = runs || !this.#stored || this.#unkept > this.acknowledged;
    guardLeaving(this, guard && loses && this.state !== 'discarded');
    keepAwake(this, wakeLock && runs);
  }
}

function placeOf({ protocol, endpoint }) {
  // A server of tus may tell `/files/` from `/files`.
  if (protocol === 'tus') return endpoint ?? `${local.ownEndpoint()}/files/`;
  return (endpoint ?? local.ownEndpoint()).replace(/\/+$/, '');
}

function dialectOf({ id, endpoint, protocol, uploadId, name, type }, { metadata }, size) {
  if (protocol !== 'tus') return chunks(endpoint, uploadId);
  const fields = { filename: name, filetype: type, ...metadata };
  const keep = (url) => local.changeRecording(id, { uploadId: url }).catch(() => {});
  return tus(endpoint, { fields, size, url: uploadId }, keep);
}

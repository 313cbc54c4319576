/** The list of uploads: each goes on until the server has the whole file, or the user says no. */

import { ChunkedUploader } from './chunked-upload.js';
import { dropUpload, keepUpload, keptUpload } from './demo-keep.js';
import { announce, sizeInWords, timeInWords, toast } from './demo-voice.js';

const STEP = 25;
const HICCUP = 1000;

/** `settings`: `{baseUrl, chunkSize, maxRetryDelay, onFinished(completion)}`. */
export class Uploads {
  #rows = new Map();

  constructor(settings) {
    this.settings = settings;
  }

  /** Sends a new upload, and keeps `kept` in the browser until the server has it all. */
  async add(upload, kept = upload) {
    try {
      await keepUpload(kept);
    } catch {
      toast(`This browser has no room to keep ${upload.name}: leave the page open until it is sent.`);
    }
    return this.resume(upload);
  }

  /** Sends an upload that is kept already; of several tabs only one does, the others wait. */
  resume(upload) {
    const send = async (lock) => {
      const gone = lock && upload.resumed && !(await keptUpload(upload.id));
      if (!gone) await this.#send(upload);
    };
    return whenOurs(upload.id, send);
  }

  async #send(upload) {
    const row = new Row(upload, this.settings);
    this.#rows.set(upload.id, row);
    this.#show();
    try {
      await row.run();
    } finally {
      this.#rows.delete(upload.id);
      row.element.remove();
      this.#show();
    }
  }

  /** Gives a file to a row that waits for it: the same one as before a reload. */
  claim(file) {
    for (const row of this.#rows.values()) {
      if (row.wants(file)) return row.take(file);
    }
    return false;
  }

  #show() {
    document.getElementById('uploads-card').hidden = this.#rows.size === 0;
  }
}

/** Runs `work(lock)` while no other tab works on `id`. */
export function whenOurs(id, work) {
  return navigator.locks ? navigator.locks.request(`resumable-demo-${id}`, work) : work(null);
}

class Row {
  #ended = Promise.withResolvers();
  #announced = 0;
  #timer = null;
  #state = '';

  constructor(upload, settings) {
    this.upload = upload;
    this.settings = settings;
    this.uploader = new ChunkedUploader({
      ...settings,
      maxRetries: Infinity,
      onProgress: (progress) => this.#progressed(progress),
      onRetry: (retry) => this.#waiting(retry),
    });
    this.#build();
  }

  #build() {
    const template = document.getElementById('upload-row');
    this.element = template.content.firstElementChild.cloneNode(true);
    const part = (selector) => this.element.querySelector(selector);
    this.parts = {
      percent: part('.percent'),
      bar: part('progress'),
      details: part('.details'),
      buttons: part('.buttons'),
    };
    part('.name').textContent = this.upload.name;
    this.parts.bar.setAttribute('aria-label', `Upload of ${this.upload.name}`);
    document.getElementById('uploads').append(this.element);
  }

  /** Resolves when the upload is finished or discarded. */
  run() {
    if (this.upload.blob) this.#start();
    else this.#show('blobless', 'Choose the same file again to go on.', ['choose', 'discard']);
    return this.#ended.promise;
  }

  wants({ name, size, lastModified }) {
    const { upload } = this;
    const same = upload.name === name && upload.size === size;
    return this.#state === 'blobless' && same && upload.lastModified === lastModified;
  }

  take(file) {
    this.upload.blob = file;
    this.#start();
    return true;
  }

  async #start() {
    const { blob, id, name } = this.upload;
    this.#show('uploading', 'Asking the server…', ['pause', 'discard']);
    if (!this.upload.resumed) announce(`Upload of ${name} has started.`);
    try {
      const finished = await this.uploader.upload(blob, name);
      await dropUpload(id).catch(() => {});
      this.#finished(finished);
    } catch (error) {
      if (error.name !== 'AbortError') this.#failed(error);
    }
  }

  #finished(finished) {
    this.#stopTimer();
    const focused = this.element.contains(document.activeElement);
    toast(`${this.upload.name} is uploaded.`);
    this.#ended.resolve();
    this.settings.onFinished({ ...finished, type: this.upload.type, focused });
  }

  #failed(error) {
    toast(`${this.upload.name} was not uploaded. ${error.message}`);
    const actions = this.upload.recorded ? ['again', 'save', 'discard'] : ['again', 'discard'];
    this.#show('failed', error.message, actions);
  }

  #progressed({ loaded, total, progress, speed, eta, phase }) {
    if (phase === 'done') return;
    this.#bar(progress);
    const bytes = `${sizeInWords(loaded)} of ${sizeInWords(total)}`;
    const pace = speed > 0 ? ` · ${sizeInWords(speed)}/s` : '';
    const left = speed > 0 && eta ? ` · ${timeInWords(eta)} left` : '';
    const text = phase === 'finalizing' ? 'Putting the file together…' : bytes + pace + left;
    if (this.#state === 'waiting') announce(`Connected again. ${this.upload.name} goes on.`);
    this.#show('uploading', text, ['pause', 'discard']);
    const step = Math.floor(progress / STEP) * STEP;
    if (step > this.#announced && step < 100) announce(`${this.upload.name}: ${step} percent.`);
    this.#announced = Math.max(step, this.#announced);
  }

  #bar(progress) {
    const whole = Math.floor(progress);
    this.parts.bar.value = progress;
    this.parts.bar.setAttribute('aria-valuetext', `${whole} percent`);
    this.parts.percent.textContent = `${whole} %`;
  }

  #waiting({ error, attempt, delay, offline }) {
    // A single hiccup is over before one has read of it.
    if (attempt === 1 && delay < HICCUP && !offline) return;
    const retryAt = Date.now() + delay;
    const cause = offline ? 'No network.' : error.status ? error.message : 'Server not reachable.';
    const tell = () => {
      const seconds = Math.ceil((retryAt - Date.now()) / 1000);
      const next = seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again…';
      const text = `${cause} ${offline ? 'Waiting for it.' : next}`;
      this.#show('waiting', text, ['now', 'discard']);
    };
    if (this.#state !== 'waiting') toast(`${cause} The upload goes on by itself.`);
    tell();
    this.#stopTimer();
    this.#timer = setInterval(tell, 250);
  }

  #stopTimer() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #show(state, text, actions) {
    if (state !== 'waiting' || this.#state !== 'waiting') this.#stopTimer();
    this.element.dataset.state = state;
    this.parts.details.textContent = text;
    if (state !== this.#state) this.#offer(actions);
    this.#state = state;
  }

  /** Changes the buttons; the keyboard's place is kept. */
  #offer(actions) {
    const focused = this.parts.buttons.contains(document.activeElement);
    const act = {
      pause: ['Pause', () => this.#pause()],
      go: ['Resume', () => this.#resume()],
      now: ['Try now', () => this.uploader.resume()],
      again: ['Try again', () => this.#start()],
      choose: ['Choose file', () => document.getElementById('files').click()],
      save: ['Save here', () => this.#save()],
      discard: ['Cancel', () => this.#discard()],
    };
    const buttons = actions.map((action) => {
      const button = document.createElement('button');
      const [label, work] = act[action];
      button.type = 'button';
      button.textContent = label;
      button.setAttribute('aria-label', `${label}: ${this.upload.name}`);
      button.addEventListener('click', work);
      return button;
    });
    this.parts.buttons.replaceChildren(...buttons);
    if (focused) buttons[0].focus();
  }

  #pause() {
    this.uploader.pause();
    this.#show('paused', 'Paused.', ['go', 'discard']);
  }

  #resume() {
    this.#show('uploading', 'Asking the server…', ['pause', 'discard']);
    this.uploader.resume();
  }

  /** A recording that the server refuses need not be lost. */
  #save() {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(this.upload.blob);
    link.download = this.upload.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  async #discard() {
    if (this.upload.recorded && !(await confirmed(this.upload.name))) return;
    this.#stopTimer();
    this.uploader.cancel().catch(() => {});
    await dropUpload(this.upload.id).catch(() => {});
    toast(`${this.upload.name} is cancelled.`);
    document.getElementById('recordings-title').focus();
    this.#ended.resolve();
  }
}

/** Asks before something is deleted that exists nowhere else. */
function confirmed(name) {
  const dialog = document.getElementById('discard');
  dialog.querySelector('.discard-name').textContent = name;
  dialog.returnValue = 'keep';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'discard'), { once: true });
  });
}

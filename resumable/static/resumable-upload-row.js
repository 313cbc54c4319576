/** One file in `<resumable-upload>`: its line, its bar, its buttons, and the upload behind them. */

import { pathOf } from './resumable-upload-files.js';

const HICCUP = 1000;
const STEP = 25;

/** What the user may do in each state. */
const ACTIONS = {
  queued: ['cancel'],
  uploading: ['pause', 'cancel'],
  finalizing: ['cancel'],
  paused: ['resume', 'cancel'],
  retrying: ['now', 'cancel'],
  blobless: ['again', 'cancel'],
  failed: ['retry', 'remove'],
  done: ['remove'],
};

/**
 * `entry` is `{id, name, type, size, file}`. `host` has `words` (the strings), `size`, `time` and
 * `percent` (words for figures), `connect(row)` (the upload), and hears `said(text)`,
 * `changed(row, event, detail)`, `wanted(row)` and `left(row)`.
 */
export class Row {
  state = 'queued';
  progress = null;
  result = null;
  error = null;
  #told = 0;
  #timer = null;
  #line = null;

  constructor(entry, host) {
    this.entry = entry;
    this.host = host;
    this.#build();
    this.#show(entry.file ? 'queued' : 'blobless');
  }

  get busy() {
    return !['failed', 'done', 'blobless'].includes(this.state);
  }

  /** Uploads until it is done, has failed, or is cancelled. */
  async start() {
    const { host, entry } = this;
    this.error = null;
    this.#show('uploading', host.words.asking);
    if (!entry.resumed) this.#say('saidStarted');
    host.changed(this, 'upload-start', {});
    try {
      if (this.state === 'gone') return;
      this.#line = host.connect(this);
      const running = this.#line.run();
      if (this.state === 'paused') this.#line.pause();
      this.#finish(await running);
    } catch (error) {
      if (this.state !== 'gone') this.#fail(error);
    }
  }

  /** The file that a row after a reload waits for. */
  matches(file) {
    const { entry } = this;
    const same = ['name', 'size', 'lastModified'].every((field) => entry[field] === file[field]);
    // Of a folder that is dropped again, two files may differ in nothing else.
    const path = pathOf(file);
    return this.state === 'blobless' && same && (!path || path === entry.relativePath);
  }

  take(file) {
    this.entry.file = file;
    this.#show('queued');
  }

  pause() {
    if (!['uploading', 'retrying'].includes(this.state)) return;
    this.#line?.pause();
    this.#show('paused');
    this.#say('saidPaused');
  }

  resume() {
    if (!['paused', 'retrying'].includes(this.state)) return;
    this.#show('uploading', this.host.words.asking);
    this.#line?.resume();
  }

  retry() {
    if (this.state !== 'failed') return;
    this.#show('queued');
    this.host.wanted(this);
  }

  /** Gives up; what the server has of it is deleted there. */
  cancel() {
    const { busy } = this;
    this.#stopTimer();
    if (this.state !== 'done') this.#line?.cancel().catch(() => {});
    this.state = 'gone';
    if (busy) this.#say('saidCancelled');
    this.host.left(this);
  }

  /** The page goes: nothing is deleted. */
  abandon() {
    this.#stopTimer();
    this.state = 'gone';
    this.#line?.abort();
  }

  moved(progress) {
    if (['gone', 'paused', 'done'].includes(this.state) || progress.phase === 'done') return;
    this.progress = progress;
    const { words } = this.host;
    if (this.state === 'retrying') this.#say('saidConnected');
    const waits = progress.phase !== 'uploading' && words[progress.phase];
    this.#show(waits ? 'finalizing' : 'uploading', waits || this.#figures(progress));
    this.#bar(progress.progress);
    this.host.changed(this, 'upload-progress', progress);
  }

  /** The connection is lost, and the uploader will try again. */
  delayed({ error, attempt = 1, delay = 0, offline = false }) {
    // A single hiccup is over before one has read of it.
    if (['gone', 'paused'].includes(this.state) || (attempt === 1 && delay < HICCUP && !offline)) {
      return;
    }
    const { words } = this.host;
    const cause = offline ? words.offline : error?.status ? error.message : words.unreachable;
    const at = Date.now() + delay;
    const tell = () => {
      const seconds = Math.ceil((at - Date.now()) / 1000);
      const next = seconds > 0 ? words.retryIn(seconds) : words.retrying;
      this.#show('retrying', `${cause} ${offline ? words.retryOnline : next}`);
    };
    if (this.state !== 'retrying') this.host.said(words.saidWaiting(this.entry.name, cause));
    this.#stopTimer();
    tell();
    this.#timer = setInterval(tell, 250);
  }

  /** Says everything anew, after the strings changed. */
  refresh() {
    this.#buttons();
    this.parts.bar.setAttribute('aria-label', this.host.words.progress(this.entry.name));
  }

  focus() {
    this.parts.buttons.querySelector('button')?.focus();
  }

  #finish(result) {
    this.result = result;
    this.#bar(100);
    this.#show('done');
    this.#say('saidDone');
    this.host.changed(this, 'upload-finish', result);
  }

  #fail(error) {
    this.error = error;
    this.#show('failed', error.message);
    this.#say('saidFailed', error.message);
    this.host.changed(this, 'upload-error', { error });
  }

  #say(string, ...more) {
    this.host.said(this.host.words[string](this.entry.name, ...more));
  }

  #figures({ loaded, total, speed, eta }) {
    const { words, size, time } = this.host;
    const told = [words.amount(size(loaded), size(total))];
    if (speed > 0) told.push(words.speed(size(speed)));
    if (speed > 0 && eta) told.push(words.left(time(eta)));
    return told.join(' · ');
  }

  #bar(progress) {
    const { bar, fill, percent } = this.parts;
    const text = this.host.percent(progress);
    fill.style.inlineSize = `${progress}%`;
    bar.setAttribute('aria-valuenow', Math.floor(progress));
    bar.setAttribute('aria-valuetext', text);
    percent.textContent = text;
    const step = Math.floor(progress / STEP) * STEP;
    if (step > this.#told && step < 100) this.#say('saidStep', step);
    this.#told = Math.max(step, this.#told);
  }

  #show(state, text = this.#text(state)) {
    if (state !== 'retrying') this.#stopTimer();
    const changed = state !== this.state || !this.element.dataset.state;
    this.state = state;
    this.element.dataset.state = state;
    this.parts.details.textContent = text;
    if (changed) this.#buttons();
  }

  #text(state) {
    const { words, size } = this.host;
    if (state === 'done') return `${size(this.entry.size)} · ${words.done}`;
    return { queued: words.waiting, paused: words.paused, blobless: words.blobless }[state] ?? '';
  }

  #stopTimer() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Changes the buttons; the keyboard's place is kept. */
  #buttons() {
    const { buttons } = this.parts;
    const focused = buttons.contains(this.element.getRootNode().activeElement);
    const acts = { remove: 'cancel', now: 'resume' };
    const made = ACTIONS[this.state].map((action) => {
      const label = this.host.words[action];
      const button = make('button', { type: 'button', part: `button ${action}` });
      button.textContent = label;
      button.setAttribute('aria-label', this.host.words.action(label, this.entry.name));
      const act =
        action === 'again' ? () => this.host.wanted(this) : () => this[acts[action] ?? action]();
      button.addEventListener('click', act);
      return button;
    });
    buttons.replaceChildren(...made);
    if (focused) made[0].focus();
  }

  #build() {
    const [head, foot] = [make('div', { class: 'line' }), make('div', { class: 'line' })];
    const bar = make('div', { class: 'bar', part: 'bar', role: 'progressbar' });
    const range = { 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': 0 };
    for (const [name, value] of Object.entries(range)) bar.setAttribute(name, value);
    this.element = make('li', { class: 'row', part: 'row' });
    this.parts = {
      bar,
      name: make('span', { class: 'name', part: 'name', dir: 'auto' }),
      percent: make('span', { class: 'percent', part: 'percent', 'aria-hidden': true }),
      fill: make('div', { class: 'fill', part: 'fill' }),
      details: make('p', { class: 'details', part: 'details' }),
      buttons: make('div', { class: 'buttons', part: 'buttons' }),
    };
    this.parts.name.textContent = this.entry.name;
    bar.setAttribute('aria-label', this.host.words.progress(this.entry.name));
    head.append(this.parts.name, this.parts.percent);
    bar.append(this.parts.fill);
    foot.append(this.parts.details, this.parts.buttons);
    this.element.append(head, bar, foot);
  }
}

/** An element with attributes. */
export function make(tag, attributes = {}) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

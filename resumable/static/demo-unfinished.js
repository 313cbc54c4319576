/** Recordings that the server does not have whole: on their way, refused, or cut short by a crash. */

import { LiveRecorder } from './live-recorder.js';
import { announce, clock, confirmed, toast } from './demo-voice.js';
import { percentInWords, sizeInWords } from './resumable-upload-words.js';

const HICCUP = 1000;
const STEP = 25;

export class Unfinished {
  #rows = new Map();

  /** `settings` are those of a LiveRecorder; `store` is the RecordingStore. */
  constructor(settings, store) {
    Object.assign(this, { settings, store });
    this.card = document.getElementById('unfinished-card');
    this.list = document.getElementById('unfinished');
  }

  /** What earlier pages left: what was stopped goes on by itself, of the rest the user decides. */
  async look() {
    const found = await LiveRecorder.unfinished(this.settings);
    for (const recording of found) {
      if (this.#rows.has(recording.id)) continue;
      if (recording.ended && !recording.failure) this.follow(this.#resumed(recording), recording);
      else this.#add(new Row(this, recording));
    }
  }

  /** Shows a recorder that sends its rest. */
  follow(recorder, { name = recorder.name } = {}) {
    const row = new Row(this, { id: recorder.id, name });
    this.#add(row);
    row.follow(recorder);
  }

  resume(row) {
    row.follow(this.#resumed(row.recording));
  }

  #resumed({ id }) {
    return LiveRecorder.resume(id, this.settings);
  }

  #add(row) {
    this.#rows.set(row.recording.id, row);
    this.list.append(row.element);
    this.card.hidden = false;
  }

  remove(row) {
    const focused = row.element.contains(document.activeElement);
    this.#rows.delete(row.recording.id);
    row.element.remove();
    this.card.hidden = this.#rows.size === 0;
    if (focused) document.getElementById('recordings-title').focus();
  }
}

class Row {
  #told = 0;
  #timer = null;
  #held = false;

  constructor(owner, recording) {
    Object.assign(this, { owner, recording, recorder: null });
    const template = document.getElementById('unfinished-row');
    this.element = template.content.firstElementChild.cloneNode(true);
    const part = (selector) => this.element.querySelector(selector);
    this.parts = {
      percent: part('.percent'),
      bar: part('progress'),
      details: part('.details'),
      buttons: part('.buttons'),
    };
    part('.name').textContent = recording.name;
    this.parts.bar.setAttribute('aria-label', `Upload of ${recording.name}`);
    this.#offer();
  }

  #offer() {
    const { size = 0, kept = 0, duration = 0, failure } = this.recording;
    this.#bar(size - kept, size);
    const text = failure ?? `Cut short after ${clock(duration)}. ${sizeInWords(size)} are safe.`;
    const whole = kept && kept === size ? ['save'] : [];
    this.#show(failure ? 'failed' : 'cut', text, ['finish', ...whole, 'discard']);
  }

  follow(recorder) {
    this.recorder = recorder;
    this.#held = false;
    recorder.addEventListener('progress', () => this.#progressed());
    recorder.addEventListener('retry', ({ detail }) => this.#waiting(detail));
    recorder.finished.then(
      () => this.#finished(),
      (error) => this.#failed(error),
    );
    this.#progressed();
  }

  #finished() {
    clearInterval(this.#timer);
    toast(`${this.recording.name} is uploaded.`);
    this.owner.remove(this);
  }

  async #failed(error) {
    clearInterval(this.#timer);
    if (error.name === 'AbortError') return;
    if (error.name === 'NotReadableError') {
      toast(error.message);
      this.owner.remove(this);
      return;
    }
    toast(`${this.recording.name} was not uploaded. ${error.message}`);
    const [kept] = (await this.owner.store.local()).filter(({ id }) => id === this.recording.id);
    this.recording = { ...this.recording, ...kept, failure: error.message };
    this.#offer();
  }

  #progressed() {
    if (this.#held) return;
    clearInterval(this.#timer);
    const { size, acknowledged } = this.recorder;
    if (this.element.dataset.state === 'waiting')
      announce(`Connected again. ${this.recording.name} goes on.`);
    this.#bar(acknowledged, size);
    const whole = size && acknowledged === size;
    const text = whole
      ? 'Putting the file together…'
      : `${sizeInWords(acknowledged)} of ${sizeInWords(size)}`;
    this.#show('uploading', text, ['pause', 'discard']);
  }

  #bar(acknowledged, size) {
    const percent = size ? (100 * acknowledged) / size : 0;
    const text = percentInWords(percent, 'en');
    this.parts.bar.value = percent;
    this.parts.bar.setAttribute('aria-valuetext', text);
    this.parts.percent.textContent = text;
    const step = Math.floor(percent / STEP) * STEP;
    if (step > this.#told && step < 100) announce(`${this.recording.name}: ${step} percent.`);
    this.#told = Math.max(step, this.#told);
  }

  #waiting({ error, attempt, delay, offline }) {
    // A single hiccup is over before one has read of it.
    if (this.#held || (attempt === 1 && delay < HICCUP && !offline)) return;
    const retryAt = Date.now() + delay;
    const cause = offline ? 'No network.' : error.status ? error.message : 'Server not reachable.';
    const tell = () => {
      const seconds = Math.ceil((retryAt - Date.now()) / 1000);
      const next = seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again…';
      this.#show('waiting', `${cause} ${offline ? 'Waiting for it.' : next}`, ['now', 'discard']);
    };
    if (this.element.dataset.state !== 'waiting') toast(`${cause} The upload goes on by itself.`);
    clearInterval(this.#timer);
    tell();
    this.#timer = setInterval(tell, 250);
  }

  #show(state, text, actions) {
    const changed = this.element.dataset.state !== state;
    this.element.dataset.state = state;
    this.parts.details.textContent = text;
    if (changed) this.#buttons(actions);
  }

  /** Changes the buttons; the keyboard's place is kept. */
  #buttons(actions) {
    const focused = this.parts.buttons.contains(document.activeElement);
    const act = {
      pause: ['Pause', () => this.#hold()],
      go: ['Resume', () => this.#go()],
      now: ['Try now', () => this.recorder.send()],
      finish: [this.recording.failure ? 'Try again' : 'Finish', () => this.owner.resume(this)],
      save: ['Save here', () => this.owner.store.save({ ...this.recording, downloadUrl: null })],
      discard: ['Discard', () => this.#discard()],
    };
    const buttons = actions.map((action) => {
      const button = document.createElement('button');
      const [label, work] = act[action];
      button.type = 'button';
      button.textContent = label;
      button.setAttribute('aria-label', `${label}: ${this.recording.name}`);
      button.addEventListener('click', work);
      return button;
    });
    this.parts.buttons.replaceChildren(...buttons);
    if (focused) buttons[0].focus();
  }

  #hold() {
    this.#held = true;
    this.recorder.hold();
    this.#show('paused', 'Paused.', ['go', 'discard']);
  }

  #go() {
    this.#held = false;
    this.recorder.send();
    this.#progressed();
  }

  async #discard() {
    const { id, name } = this.recording;
    const text = `${name} exists only in this browser and, in part, on the server. Both will be deleted.`;
    if (!(await confirmed('Discard this recording?', text, 'Discard'))) return;
    clearInterval(this.#timer);
    const gone = this.recorder?.discard() ?? LiveRecorder.discard(id, this.owner.settings);
    gone.catch(() => {});
    toast(`${name} is discarded.`);
    this.owner.remove(this);
  }
}

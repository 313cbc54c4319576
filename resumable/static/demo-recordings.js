/** The list of finished recordings: poster, what the server makes of it, played in place, deleted. */

import { clock, confirmed, momentInWords, toast } from './demo-voice.js';
import { followed } from './demo-jobs.js';
import { sizeInWords } from './resumable-upload-words.js';

const AGAIN = 5000;
const END_OF_TIME = 1e7;

export class Recordings {
  #rows = new Map();
  #again = null;
  #work = Promise.resolve();

  /** `options` is the panel, for recordings that are processed again. */
  constructor(store, options) {
    Object.assign(this, { store, options });
    this.list = document.getElementById('recordings');
    this.note = document.getElementById('recordings-note');
    this.space = document.getElementById('space');
  }

  /** Asks the server; while it does not answer, asks again. */
  refresh() {
    this.#work = this.#work.then(() => this.#refresh());
    return this.#work;
  }

  async #refresh() {
    clearTimeout(this.#again);
    try {
      this.#show(
        await this.store.list(),
        'Nothing here yet. What you record or upload appears in this list.',
      );
    } catch {
      this.#show(
        await this.store.local(),
        'The server cannot be reached; the list comes when it answers.',
        true,
      );
      this.#again = setTimeout(() => this.refresh(), AGAIN);
    }
    await this.#measure().catch(() => {});
  }

  #show(found, note, always = false) {
    const finished = found.filter(({ state }) => state === 'finished');
    this.note.textContent = note;
    this.note.hidden = !always && finished.length > 0;
    const rows = finished.map((recording) => this.#row(recording));
    // A row in its place is not moved: a moved video would stop.
    rows.forEach(({ element }, index) => {
      const there = this.list.children[index];
      if (there !== element) this.list.insertBefore(element, there ?? null);
    });
    while (this.list.children.length > rows.length) this.list.lastElementChild.remove();
  }

  #row(recording) {
    const known = this.#rows.get(recording.path) ?? new Row(this, recording);
    this.#rows.set(recording.path, known);
    known.update(recording);
    return known;
  }

  toggle(row) {
    for (const other of this.#rows.values()) if (other !== row) other.close();
    if (row.open) row.close();
    else row.play();
  }

  async remove(row) {
    const { name } = row.recording;
    const text = `${name} and what was made of it will be deleted on the server.`;
    if (!(await confirmed('Delete this recording?', text, 'Delete'))) return;
    try {
      await this.store.remove(row.recording);
    } catch (error) {
      return toast(`${name} was not deleted. ${error.message}`);
    }
    row.close();
    toast(`${name} is deleted.`);
    await this.refresh();
    document.getElementById('recordings-title').focus();
  }

  async #measure() {
    const { kept, usage, quota } = await this.store.space();
    const room = quota ? ` It may use ${sizeInWords(quota)}, and uses ${sizeInWords(usage)}.` : '';
    const waits = kept
      ? `${sizeInWords(kept)} wait in this browser for the server.`
      : 'Nothing waits in this browser.';
    this.space.textContent = waits + room;
  }
}

class Row {
  open = false;
  #following = null;

  constructor(owner, recording) {
    Object.assign(this, { owner, recording });
    const template = document.getElementById('recording-row');
    this.element = template.content.firstElementChild.cloneNode(true);
    const part = (selector) => this.element.querySelector(selector);
    this.parts = {
      name: part('.name'),
      thumbnail: part('.thumbnail'),
      details: part('.details'),
      play: part('.play'),
      download: part('.download'),
      remove: part('.delete'),
      job: part('.job'),
      player: part('.player'),
    };
    const { name } = recording;
    this.parts.download.setAttribute('aria-label', `Download ${name}`);
    this.parts.remove.setAttribute('aria-label', `Delete ${name}`);
    this.parts.remove.addEventListener('click', () => owner.remove(this));
    this.parts.play.addEventListener('click', () => owner.toggle(this));
    this.#label('Play');
  }

  update(recording) {
    this.recording = recording;
    const { size, duration, finished } = recording;
    const made = this.#made();
    this.parts.name.textContent = made?.filename ?? recording.name;
    const told = [
      sizeInWords(made?.size ?? size),
      duration && clock(duration),
      made && (made.type === 'video/mp4' ? 'MP4' : 'processed'),
      momentInWords(finished),
    ];
    this.parts.details.textContent = told.filter(Boolean).join(' · ');
    const url = made?.url ?? recording.url;
    this.parts.download.href = `${url}${url.includes('?') ? '&' : '?'}download=1`;
    this.parts.play.hidden = !/^(video|audio)\//.test(made?.type ?? recording.type ?? '');
    this.#poster();
    this.#follow();
  }

  /** The recording as the server made it, when it is done. */
  #made() {
    const wanted = ({ role }) => role === 'video' || role === 'audio';
    return this.recording.results.find(wanted) ?? null;
  }

  #poster() {
    const poster = this.recording.results.find(({ role }) => role === 'poster');
    const shown = this.parts.thumbnail.querySelector('img');
    if (!poster || shown) return;
    const image = document.createElement('img');
    image.alt = '';
    image.src = poster.url;
    this.parts.thumbnail.replaceChildren(image);
  }

  #follow() {
    if (this.#following || this.recording.results.length) return;
    const { store, options } = this.owner;
    const ended = () => this.owner.refresh();
    this.#following = followed(this.recording, this.parts.job, { store, options, ended });
  }

  #label(word) {
    const { play } = this.parts;
    play.querySelector('.label').textContent = word;
    play.setAttribute('aria-label', `${word} ${this.recording.name}`);
  }

  close() {
    if (!this.open) return;
    this.open = false;
    this.parts.player.replaceChildren();
    this.parts.player.hidden = true;
    this.parts.play.setAttribute('aria-expanded', 'false');
    this.#label('Play');
  }

  play() {
    const { player, play } = this.parts;
    const made = this.#made();
    const [kind] = (made?.type ?? this.recording.type).split('/');
    const media = document.createElement(kind);
    media.controls = true;
    media.playsInline = true;
    media.src = made?.url ?? this.recording.url;
    media.setAttribute('aria-label', this.recording.name);
    media.addEventListener('error', () => {
      player.textContent = 'This browser cannot play it. Download it instead.';
    });
    media.addEventListener('loadedmetadata', () => begin(media), { once: true });
    media.addEventListener('canplay', () => this.element.scrollIntoView({ block: 'nearest' }), {
      once: true,
    });
    player.replaceChildren(media);
    player.hidden = false;
    this.open = true;
    play.setAttribute('aria-expanded', 'true');
    this.#label('Close');
  }
}

/** A browser's recording names no duration; a look at its end makes the time line work. */
function begin(media) {
  if (media.duration !== Infinity) return media.play();
  media.addEventListener(
    'seeked',
    () => {
      media.currentTime = 0;
      media.play();
    },
    { once: true },
  );
  media.currentTime = END_OF_TIME;
}

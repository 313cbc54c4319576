/** The list of finished recordings: played in place, or downloaded. */

import { momentInWords, sizeInWords } from './demo-voice.js';

const AGAIN = 5000;
const END_OF_TIME = 1e7;

export class Recordings {
  #known = new Map();
  #again = null;

  constructor(baseUrl) {
    this.baseUrl = baseUrl;
    this.list = document.getElementById('recordings');
    this.note = document.getElementById('recordings-note');
  }

  /** Asks the server; while it does not answer, asks again. */
  async refresh() {
    clearTimeout(this.#again);
    try {
      const answer = await fetch(`${this.baseUrl}/recordings`);
      const { recordings } = answer.status === 404 ? { recordings: [] } : await answer.json();
      for (const recording of recordings) this.#known.set(recording.path, recording);
      this.#show('Nothing here yet. What you record or upload appears in this list.');
    } catch {
      this.#show('The server cannot be reached; the list comes when it answers.', true);
      this.#again = setTimeout(() => this.refresh(), AGAIN);
    }
  }

  /** Adds what this page has just uploaded, also where the server keeps no list. */
  add({ path, url, filename, size, type, focused }) {
    const finished = Date.now() / 1000;
    this.#known.set(path, { path, url, filename, size, type, finished });
    this.#show('');
    if (focused) this.list.querySelector('button, a').focus();
  }

  #show(note, always = false) {
    this.note.textContent = note;
    this.note.hidden = !always && this.#known.size > 0;
    const newestFirst = [...this.#known.values()].sort((a, b) => b.finished - a.finished);
    const rows = newestFirst.map((recording) => this.#row(recording));
    const same = rows.every((row, index) => row === this.list.children[index]);
    if (!same || rows.length !== this.list.children.length) this.#arrange(rows);
  }

  /** Puts rows in order without moving those in place: a moved video would stop. */
  #arrange(rows) {
    rows.forEach((row, index) => {
      const there = this.list.children[index];
      if (there !== row) this.list.insertBefore(row, there ?? null);
    });
  }

  #row(recording) {
    const rows = [...this.list.children];
    const known = rows.find((row) => row.dataset.path === recording.path);
    return known ?? this.#build(recording);
  }

  #build({ path, url, filename, size, type, finished }) {
    const template = document.getElementById('recording-row');
    const row = template.content.firstElementChild.cloneNode(true);
    const [kind] = (type ?? '').split('/');
    row.dataset.path = path;
    row.querySelector('.name').textContent = filename;
    row.querySelector('.details').textContent = `${sizeInWords(size)} · ${momentInWords(finished)}`;
    const download = row.querySelector('.download');
    download.href = `${url}?download=1`;
    download.setAttribute('aria-label', `Download ${filename}`);
    const play = row.querySelector('.play');
    play.hidden = kind !== 'video' && kind !== 'audio';
    play.addEventListener('click', () => this.#toggle(row, { url, kind, filename }));
    label(play, 'Play', filename);
    return row;
  }

  #toggle(row, recording) {
    const open = row.querySelector('.play').getAttribute('aria-expanded') === 'true';
    for (const other of this.list.children) close(other);
    if (!open) play(row, recording);
  }
}

function label(button, word, filename) {
  button.querySelector('.label').textContent = word;
  button.setAttribute('aria-label', `${word} ${filename}`);
}

function play(row, { url, kind, filename }) {
  const media = document.createElement(kind);
  media.controls = true;
  media.playsInline = true;
  media.src = url;
  media.setAttribute('aria-label', filename);
  const player = row.querySelector('.player');
  media.addEventListener('error', () => {
    player.textContent = 'This browser cannot play it. Download it instead.';
  });
  media.addEventListener('loadedmetadata', () => begin(media), { once: true });
  player.replaceChildren(media);
  player.hidden = false;
  const button = row.querySelector('.play');
  button.setAttribute('aria-expanded', 'true');
  label(button, 'Close', filename);
  media.addEventListener('canplay', () => row.scrollIntoView({ block: 'nearest' }), { once: true });
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

function close(row) {
  const player = row.querySelector('.player');
  const button = row.querySelector('.play');
  if (player.hidden) return;
  player.replaceChildren();
  player.hidden = true;
  button.setAttribute('aria-expanded', 'false');
  label(button, 'Play', row.querySelector('.name').textContent);
}

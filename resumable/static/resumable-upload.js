/**
 * `<resumable-upload>`: a drop zone and a list of uploads that go on after lost connections.
 *
 *     <script type="module" src="/resumable/static/resumable-upload.js"></script>
 *     <resumable-upload name="film" accept="video/*" multiple></resumable-upload>
 *
 * In a form its value is the path of each finished file. Attributes, properties, events, variables
 * and parts are in resumable-upload.d.ts.
 */

import {
  dropFile,
  filesOf,
  getFile,
  newId,
  ownEndpoint,
  putFile,
  whenOurs,
} from './local-store.js';
import { accepts, filesIn, pathOf } from './resumable-upload-files.js';
import { connect } from './resumable-upload-lines.js';
import { Row, make } from './resumable-upload-row.js';
import { style } from './resumable-upload-style.js';
import { STRINGS, percentInWords, sizeInWords, timeInWords } from './resumable-upload-words.js';

const AT_ONCE = 2;
/** Bigger files stay where they are: after a reload the page asks for them again. */
const LARGEST_KEPT = 512 * 1000 * 1000;
const FLAGS = ['disabled', 'multiple', 'required', 'directory', 'keep'];
const TEXTS = ['accept', 'name', 'protocol', 'endpoint'];
const SPOKEN = 6000;

/** Where there is no browser, the module can at least be imported. */
const Base = globalThis.HTMLElement ?? class {};

export class ResumableUpload extends Base {
  static formAssociated = true;
  static observedAttributes = ['accept', 'multiple', 'disabled', 'required', 'directory'];

  /** Processing options for the server. */
  options = {};
  /** Headers for each request, or a function that makes them. */
  headers = {};
  /** More settings of the uploader: those of ChunkedUploader, or of TusUploader. */
  settings = {};

  #internals = this.attachInternals();
  #rows = [];
  #words = STRINGS;
  #parts = {};
  #restored = false;
  #disabled = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    root.adoptedStyleSheets = [style()];
    root.append(this.#build());
  }

  connectedCallback() {
    this.#say();
    this.#validate();
    if (this.keep && !this.#restored) this.#restore().catch(() => {});
    this.#restored = true;
  }

  disconnectedCallback() {
    // A move to another place in the page is none.
    queueMicrotask(() => {
      if (this.isConnected) return;
      for (const row of this.#rows) row.abandon();
      this.#rows = [];
      this.#parts.list.replaceChildren();
    });
  }

  attributeChangedCallback() {
    this.#say();
    this.#validate();
  }

  formDisabledCallback(disabled) {
    this.#disabled = disabled;
    this.#say();
  }

  formResetCallback() {
    for (const row of this.#rows.filter(({ state }) => state === 'done')) row.cancel();
  }

  /** Replaces some strings: texts, and functions where a name or figure is told. */
  get strings() {
    return this.#words;
  }

  set strings(strings) {
    this.#words = { ...STRINGS, ...strings };
    this.#say();
    for (const row of this.#rows) row.refresh();
  }

  get maxSize() {
    return this.hasAttribute('max-size') ? Number(this.getAttribute('max-size')) : Infinity;
  }

  set maxSize(bytes) {
    this.setAttribute('max-size', bytes);
  }

  get form() {
    return this.#internals.form;
  }

  get labels() {
    return this.#internals.labels;
  }

  get validity() {
    return this.#internals.validity;
  }

  get validationMessage() {
    return this.#internals.validationMessage;
  }

  checkValidity() {
    return this.#internals.checkValidity();
  }

  reportValidity() {
    return this.#internals.reportValidity();
  }

  /** The path of the first finished file, or ''. */
  get value() {
    return this.values[0] ?? '';
  }

  /** The paths of all finished files; with tus, their URLs. */
  get values() {
    return this.#rows.filter(({ result }) => result).map(({ result }) => result.path ?? result.url);
  }

  /** `{id, name, relativePath, size, state, progress, result, error}` of each file in the list. */
  get uploads() {
    return this.#rows.map(({ entry, state, progress, result, error }) => {
      const { id, name, relativePath, size } = entry;
      return { id, name, relativePath, size, state, progress, result, error };
    });
  }

  /** Takes files as if the user had chosen them; those that are refused are told to the user. */
  add(files) {
    const refused = [];
    for (const file of files) {
      const reason = this.#refusal(file);
      if (reason) refused.push(reason);
      else if (!this.#rows.some((row) => row.matches(file) && this.#give(row, file)))
        this.#take(file);
    }
    this.#parts.refused.textContent = refused.join(' ');
    if (refused.length) this.#announce(refused.join(' '));
  }

  pause(id) {
    for (const row of this.#find(id)) row.pause();
  }

  resume(id) {
    for (const row of this.#find(id)) row.resume();
  }

  retry(id) {
    for (const row of this.#find(id)) row.retry();
  }

  /** Gives up and deletes what the server has of them; finished files only leave the list. */
  cancel(id) {
    for (const row of this.#find(id)) row.cancel();
  }

  #find(id) {
    return this.#rows.filter(({ entry }) => id === undefined || entry.id === id);
  }

  #refusal({ name, type, size }) {
    const words = this.#words;
    if (size > this.maxSize)
      return words.tooLarge(name, this.#size(size), this.#size(this.maxSize));
    if (!accepts(this.accept, { name, type })) return words.wrongType(name);
    const others = this.#rows.filter(({ state }) => state !== 'failed' && state !== 'blobless');
    return this.multiple || !others.length ? null : words.onlyOne;
  }

  async #take(file) {
    const { name, type, size, lastModified } = file;
    const relativePath = pathOf(file);
    const entry = { id: newId(), name, type, size, lastModified, relativePath };
    if (!this.keep) return this.#list({ ...entry, file });
    const row = this.#list({ ...entry, file }, false);
    const blob = size <= LARGEST_KEPT ? file : null;
    await putFile({ ...entry, owner: this.#owner, created: Date.now(), blob }).catch(() => {});
    return this.#hold(row);
  }

  /** Goes on with what an earlier page had not finished; of several tabs only one does. */
  async #restore() {
    for (const { blob, ...kept } of await filesOf(this.#owner)) {
      const entry = { ...kept, file: blob, resumed: true };
      whenOurs(entry.id, async () => {
        if (!this.isConnected || !(await getFile(entry.id))) return;
        const row = this.#list(entry, false);
        await this.#hold(row, true);
      });
    }
  }

  /** Keeps other tabs from an upload until it is settled. */
  #hold(row, held = false) {
    const settled = new Promise((resolve) => (row.settled = resolve));
    this.#next();
    return held ? settled : whenOurs(row.entry.id, () => settled);
  }

  #list(entry, ready = true) {
    const row = new Row(entry, this.#host());
    this.#rows.push(row);
    this.#parts.list.append(row.element);
    this.#changed();
    if (ready) this.#next();
    return row;
  }

  #give(row, file) {
    row.take(file);
    this.#next();
    return true;
  }

  #next() {
    const running = this.#rows.filter(({ busy, state }) => busy && state !== 'queued').length;
    const waiting = this.#rows.filter(({ state }) => state === 'queued');
    for (const row of waiting.slice(0, Math.max(0, AT_ONCE - running))) row.start();
  }

  /** What a row asks of the element. */
  #host() {
    const element = this;
    return {
      get words() {
        return element.#words;
      },
      size: (bytes) => this.#size(bytes),
      time: (seconds) => timeInWords(seconds, this.#language),
      percent: (percent) => percentInWords(percent, this.#language),
      connect: (row) => connect(this.#connection(), row),
      said: (text) => this.#announce(text),
      changed: (row, event, detail) => this.#moved(row, event, detail),
      wanted: (row) => (row.entry.file ? this.#next() : this.#parts.input.click()),
      left: (row) => this.#left(row),
    };
  }

  #connection() {
    const { options, headers, settings } = this;
    const { protocol } = this;
    const endpoint = this.endpoint || ownEndpoint() + (protocol === 'tus' ? '/files/' : '');
    return { protocol, endpoint, options, headers, settings };
  }

  /** Which of the files that are kept for this origin are this element's. */
  get #owner() {
    return [location.pathname, this.protocol, this.id || this.name].join(' ');
  }

  get #language() {
    return this.closest('[lang]')?.lang;
  }

  #size(bytes) {
    return sizeInWords(bytes, this.#language);
  }

  #moved(row, type, detail) {
    const { id, name, relativePath, file } = row.entry;
    if (type !== 'upload-progress') this.#changed();
    const about = { id, name, relativePath, file, ...detail };
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail: about }));
    if (type === 'upload-finish') {
      this.#release(row);
      this.dispatchEvent(new Event('change', { bubbles: true }));
    }
    if (type === 'upload-finish' || type === 'upload-error') this.#next();
  }

  #left(row) {
    const focused = row.element.contains(this.shadowRoot.activeElement);
    this.#rows = this.#rows.filter((one) => one !== row);
    row.element.remove();
    this.#release(row);
    this.#changed();
    if (focused) (this.#rows[0] ?? this.#parts.input).focus();
    const { id, name } = row.entry;
    const detail = { id, name, result: row.result };
    this.dispatchEvent(new CustomEvent('upload-remove', { bubbles: true, composed: true, detail }));
    if (row.result) this.dispatchEvent(new Event('change', { bubbles: true }));
    this.#next();
  }

  #release(row) {
    if (!this.keep) return row.settled?.();
    return dropFile(row.entry.id)
      .catch(() => {})
      .then(() => row.settled?.());
  }

  #changed() {
    this.#parts.list.hidden = !this.#rows.length;
    this.#validate();
  }

  #validate() {
    const { input } = this.#parts;
    const data = new FormData();
    for (const value of this.values) data.append(this.name, value);
    this.#internals.setFormValue(this.name && this.values.length ? data : null);
    const unfinished = this.#rows.some(({ busy }) => busy);
    const missing = this.required && !this.values.length;
    const flags = { customError: unfinished, valueMissing: missing && !unfinished };
    const message = unfinished ? this.#words.unfinished : missing ? this.#words.required : '';
    this.#internals.setValidity(message ? flags : {}, message, input);
  }

  /** One polite region for everything; each line is heard once. */
  #announce(text) {
    const line = make('p');
    line.textContent = text;
    this.#parts.live.append(line);
    setTimeout(() => line.remove(), SPOKEN);
  }

  #say() {
    const { input, choose, or, list } = this.#parts;
    const words = this.#words;
    const [act, drop] = this.multiple ? ['chooseMany', 'dropMany'] : ['choose', 'drop'];
    choose.textContent = words[act];
    or.textContent = words[drop];
    list.setAttribute('aria-label', words.list);
    const label = [...(this.labels ?? [])].map(({ textContent }) => textContent.trim()).join(' ');
    const about = [label, `${words[act]} ${words[drop]}`].filter(Boolean).join(': ');
    input.setAttribute('aria-label', about);
    input.multiple = this.multiple;
    input.webkitdirectory = this.directory;
    input.disabled = this.disabled || this.#disabled;
    if (this.accept) input.accept = this.accept;
    else input.removeAttribute('accept');
  }

  #build() {
    const base = make('div', { class: 'base', part: 'base' });
    const drop = make('label', { class: 'drop', part: 'drop' });
    const parts = {
      input: make('input', { type: 'file', class: 'hidden' }),
      choose: make('strong'),
      or: make('span'),
      list: make('ul', { class: 'list', part: 'list' }),
      refused: make('p', { class: 'refused', part: 'refused' }),
      live: make('div', { class: 'hidden', role: 'status', 'aria-live': 'polite' }),
    };
    this.#parts = parts;
    drop.append(parts.input, parts.choose, ' ', parts.or);
    base.append(drop, parts.refused, parts.list, parts.live);
    parts.input.addEventListener('change', () => {
      this.add([...parts.input.files]);
      parts.input.value = '';
    });
    this.#dropping(drop);
    return base;
  }

  #dropping(zone) {
    const mark = (on) => zone.classList.toggle('over', on);
    zone.addEventListener('dragover', (event) => {
      event.preventDefault();
      mark(!this.#parts.input.disabled);
    });
    zone.addEventListener('dragleave', () => mark(false));
    zone.addEventListener('drop', async (event) => {
      event.preventDefault();
      mark(false);
      if (!this.#parts.input.disabled) this.add(await filesIn(event.dataTransfer));
    });
  }
}

for (const flag of FLAGS) {
  Object.defineProperty(ResumableUpload.prototype, flag, {
    get() {
      return this.hasAttribute(flag);
    },
    set(on) {
      this.toggleAttribute(flag, Boolean(on));
    },
  });
}

for (const text of TEXTS) {
  Object.defineProperty(ResumableUpload.prototype, text, {
    get() {
      return this.getAttribute(text) ?? '';
    },
    set(value) {
      this.setAttribute(text, value);
    },
  });
}

if (globalThis.customElements && !customElements.get('resumable-upload')) {
  customElements.define('resumable-upload', ResumableUpload);
}

/**
 * The demo page: records or takes files, uploads them, lists and plays what is finished.
 *
 * In the page's address: `chunk` bytes, `retry` the longest wait between two tries in milliseconds,
 * `tab=1` to record this tab.
 */

import { offerRecording, record } from './demo-live.js';
import { Options } from './demo-options.js';
import { Recordings } from './demo-recordings.js';
import { Unfinished } from './demo-unfinished.js';
import { toast } from './demo-voice.js';
import { RecordingStore } from './recording-store.js';
import { filesIn } from './resumable-upload-files.js';
import './resumable-upload.js';

const query = new URLSearchParams(location.search);
const number = (name) => (query.has(name) ? Number(query.get(name)) : undefined);
const maxRetryDelay = number('retry') ?? 10_000;
const settings = {
  endpoint: new URL('.', location.href).href,
  constraints: query.get('tab') === '1' ? { preferCurrentTab: true } : {},
  line: { maxRetryDelay, ...(query.has('chunk') && { chunkSize: number('chunk') }) },
};

const store = new RecordingStore(settings);
const options = new Options();
const recordings = new Recordings(store, options);
const unfinished = new Unfinished(settings, store);
const files = document.getElementById('files');

async function startRecording(source) {
  const recorder = await record(source, settings, options);
  if (!recorder) return;
  unfinished.follow(recorder);
  recorder.finished.then(() => recordings.refresh()).catch(() => {});
}

function offerFiles() {
  files.endpoint = settings.endpoint;
  files.settings = { chunkSize: number('chunk'), maxRetryDelay };
  files.addEventListener('upload-start', () => (files.options = options.chosen));
  files.addEventListener('upload-finish', async ({ detail }) => {
    await store.note(detail, { options: files.options }).catch(() => {});
    files.cancel(detail.id);
    await recordings.refresh();
  });
  const mark = (on) => document.body.classList.toggle('dragging', on);
  addEventListener('dragover', (event) => {
    event.preventDefault();
    mark(true);
  });
  addEventListener('dragleave', (event) => mark(Boolean(event.relatedTarget)));
  addEventListener('drop', (event) => {
    mark(false);
    if (event.defaultPrevented) return;
    event.preventDefault();
    filesIn(event.dataTransfer).then((found) => files.add(found));
  });
}

async function ask() {
  const answer = await fetch(new URL('upload-config', settings.endpoint));
  options.offer((await answer.json()).processing === true);
}

offerRecording(startRecording);
offerFiles();
ask().catch(() => {});
recordings.refresh();
unfinished
  .look()
  .catch(() => toast('This browser keeps nothing across a reload: leave the page open.'));
store.addEventListener('change', () => recordings.refresh());
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) recordings.refresh();
});

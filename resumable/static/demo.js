/**
 * The demo page: records or takes files, uploads them, lists what is finished.
 *
 * In the page's address: `chunk` bytes, `retry` the longest wait between two tries in milliseconds,
 * `tab=1` to record this tab.
 */

import { chunkedUploader } from './chunked-upload.js';
import { brokenRecordings, keepSlice, keptUploads, mendRecording } from './demo-keep.js';
import { record, sources } from './demo-recorder.js';
import { Recordings } from './demo-recordings.js';
import { Uploads, whenOurs } from './demo-uploads.js';
import { announce, clock, sizeInWords, toast } from './demo-voice.js';

/** Bigger files stay where they are: after a reload the page asks for them again. */
const LARGEST_KEPT_FILE = 512 * 1000 * 1000;

const query = new URLSearchParams(location.search);
const number = (name) => (query.has(name) ? Number(query.get(name)) : undefined);
const byId = (id) => document.getElementById(id);
const baseUrl = new URL('.', location.href).pathname.replace(/\/$/, '');

const recordings = new Recordings(baseUrl);
const uploads = new Uploads({
  baseUrl,
  chunkSize: number('chunk'),
  maxRetryDelay: number('retry') ?? 10_000,
  onFinished: (finished) => {
    recordings.add(finished);
    recordings.refresh();
  },
});

async function startRecording(source) {
  const id = chunkedUploader.generateUploadId();
  const slices = [];
  const ended = Promise.withResolvers();
  const onSlice = (blob) => {
    slices.push(blob);
    keepSlice(id, { name: live.name, type: live.type }, blob).catch(() => {});
  };
  let live;
  try {
    const preferCurrentTab = query.get('tab') === '1';
    live = await record(source, { preferCurrentTab, onSlice, onEnd: ended.resolve });
  } catch (error) {
    const refused = error.name === 'NotAllowedError';
    toast(refused ? 'Nothing is recorded: you said no.' : `Recording failed. ${error.message}`);
    return;
  }
  announce('Recording has started.');
  await whenOurs(id, async () => {
    const hide = showLive(live, slices);
    await ended.promise;
    hide();
  });
  const { name, type } = live;
  const blob = new Blob(slices, { type });
  if (!blob.size) return toast('Nothing was recorded.');
  uploads.add({ id, name, type, size: blob.size, recorded: true, blob });
}

/** Shows the running recording; returns what ends the show. */
function showLive(live, slices) {
  const started = Date.now();
  const preview = byId('preview');
  const warn = (event) => event.preventDefault();
  const tick = () => {
    const bytes = slices.reduce((sum, { size }) => sum + size, 0);
    byId('clock').textContent = `${clock((Date.now() - started) / 1000)} · ${sizeInWords(bytes)}`;
  };
  const timer = setInterval(tick, 500);
  const awake = navigator.wakeLock?.request('screen').catch(() => null);
  tick();
  preview.srcObject = live.stream;
  preview.play().catch(() => {});
  byId('idle').hidden = true;
  byId('live').hidden = false;
  byId('stop').onclick = live.stop;
  byId('stop').focus();
  addEventListener('beforeunload', warn);
  return () => {
    clearInterval(timer);
    awake?.then((lock) => lock?.release());
    preview.srcObject = null;
    byId('live').hidden = true;
    byId('idle').hidden = false;
    byId('record-screen').focus();
    removeEventListener('beforeunload', warn);
  };
}

function takeFiles(files) {
  for (const file of files) {
    if (uploads.claim(file)) continue;
    const { name, type, size, lastModified } = file;
    const about = { id: chunkedUploader.generateUploadId(), name, type, size, lastModified };
    const upload = { ...about, blob: file };
    uploads.add(upload, size <= LARGEST_KEPT_FILE ? upload : about);
  }
}

function offerRecording() {
  const able = sources();
  for (const source of ['screen', 'camera']) {
    const button = byId(`record-${source}`);
    button.disabled = !able.includes(source);
    button.addEventListener('click', () => startRecording(source));
  }
  if (able.length === 2) return;
  const hint = byId('record-hint');
  hint.hidden = false;
  hint.textContent = isSecureContext
    ? `This browser cannot record the ${able.length ? 'screen' : 'screen or the camera'}.`
    : 'Browsers record only on pages that come by https or from localhost.';
}

function offerFiles() {
  const input = byId('files');
  input.addEventListener('change', () => {
    takeFiles([...input.files]);
    input.value = '';
  });
  const mark = (on) => document.body.classList.toggle('dragging', on);
  addEventListener('dragover', (event) => {
    event.preventDefault();
    mark(true);
  });
  addEventListener('dragleave', (event) => mark(Boolean(event.relatedTarget)));
  addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    takeFiles([...event.dataTransfer.files]);
  });
}

/** Goes on with what an earlier page left: uploads, and recordings that a crash cut short. */
async function goOn() {
  const kept = await keptUploads();
  for (const upload of kept) uploads.resume({ ...upload, resumed: true });
  for (const id of await brokenRecordings()) {
    whenOurs(id, async () => {
      const upload = await mendRecording(id);
      if (upload) uploads.resume({ ...upload, resumed: true });
    });
  }
}

offerRecording();
offerFiles();
recordings.refresh();
goOn().catch(() => toast('This browser keeps nothing across a reload: leave the page open.'));
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) recordings.refresh();
});

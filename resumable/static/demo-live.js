/** The running recording: its picture, its clock, and how much of it the server has. */

import { announce, clock, toast } from './demo-voice.js';
import { LiveRecorder } from './live-recorder.js';
import { sizeInWords } from './resumable-upload-words.js';

const byId = (id) => document.getElementById(id);

/** Offers the sources that this browser has. `begin(source)` starts a recording. */
export function offerRecording(begin) {
  const able = LiveRecorder.sources();
  for (const source of ['screen', 'camera']) {
    const button = byId(`record-${source}`);
    button.disabled = !able.includes(source);
    button.addEventListener('click', () => begin(source));
  }
  if (able.includes('screen') && able.includes('camera')) return;
  const hint = byId('record-hint');
  hint.hidden = false;
  hint.textContent = isSecureContext
    ? `This browser cannot record the ${able.includes('camera') ? 'screen' : 'screen or the camera'}.`
    : 'Browsers record only on pages that come by https or from localhost.';
}

/** Records until the user stops it; resolves with the recorder, or null when nothing began. */
export async function record(source, settings, options) {
  const recorder = new LiveRecorder(settings);
  const stopped = new Promise((resolve) => {
    const look = () => ['finishing', 'failed'].includes(recorder.state) && resolve();
    recorder.addEventListener('statechange', look);
  });
  try {
    await recorder.start(source, { options: options.chosen });
  } catch (error) {
    const refused = error.name === 'NotAllowedError';
    toast(refused ? 'Nothing is recorded: you said no.' : `Recording failed. ${error.message}`);
    return null;
  }
  announce('Recording has started.');
  const hide = show(recorder);
  await stopped;
  recorder.options = options.chosen;
  hide();
  return recorder;
}

/** Returns what ends the show. */
function show(recorder) {
  const preview = byId('preview');
  let cut = null;
  const tick = () => {
    const paused = recorder.state === 'paused';
    byId('clock').textContent = `${paused ? 'Paused' : 'Recording'} ${clock(recorder.duration)}`;
    byId('live').classList.toggle('paused', paused);
    const sent = `${sizeInWords(recorder.acknowledged)} of ${sizeInWords(recorder.size)} uploaded`;
    const waits = `${cut} ${sizeInWords(recorder.pending)} wait in this browser.`;
    byId('line').textContent = cut ? waits : sent;
  };
  const lost = ({ detail: { error, attempt, offline } }) => {
    if (attempt === 1 && !offline) return;
    if (!cut) toast('The server is out of reach. The recording goes on.');
    cut = offline ? 'No network.' : error.status ? error.message : 'The server is out of reach.';
  };
  const acknowledged = { last: 0 };
  recorder.addEventListener('progress', () => {
    if (recorder.acknowledged > acknowledged.last) cut = null;
    acknowledged.last = recorder.acknowledged;
    tick();
  });
  recorder.addEventListener('retry', lost);
  recorder.addEventListener('warning', ({ detail }) => toast(detail.error.message));
  const timer = setInterval(tick, 500);
  tick();
  preview.srcObject = recorder.stream;
  preview.play().catch(() => {});
  byId('idle').hidden = true;
  byId('live').hidden = false;
  byId('hold').textContent = 'Pause';
  byId('hold').onclick = ({ target }) => {
    const paused = recorder.state === 'paused';
    if (paused) recorder.resume();
    else recorder.pause();
    target.textContent = paused ? 'Pause' : 'Resume';
    announce(paused ? 'Recording goes on.' : 'Recording is paused.');
    tick();
  };
  byId('stop').onclick = () => recorder.stop().catch(() => {});
  byId('stop').focus();
  return () => {
    clearInterval(timer);
    preview.srcObject = null;
    byId('live').hidden = true;
    byId('idle').hidden = false;
    byId('record-screen').focus();
  };
}

/** A bar that follows the server's work on one recording. */

import { announce, toast } from './demo-voice.js';
import { percentInWords, timeInWords } from './resumable-upload-words.js';

const OFTEN = 700;
const SELDOM = 5000;
const ENDED = ['done', 'failed', 'cancelled'];

/** Asks until the work has ended, then calls `ended()`; false when there is no work. */
export function followed(recording, element, store, ended) {
  const bar = element.querySelector('progress');
  const details = element.querySelector('.details');
  const cancel = element.querySelector('.cancel');
  const { name } = recording;
  let seen = false;
  bar.setAttribute('aria-label', `Processing of ${name}`);
  cancel.setAttribute('aria-label', `Cancel processing: ${name}`);
  if (!recording.statusUrl) return false;
  cancel.onclick = () => store.cancelJob(recording).catch((error) => toast(error.message));

  const show = (job) => {
    element.hidden = false;
    element.dataset.state = job.state;
    bar.hidden = job.state !== 'running' && job.state !== 'queued';
    cancel.hidden = bar.hidden;
    if (job.percent === null || job.state === 'queued') bar.removeAttribute('value');
    else bar.value = job.percent;
    details.textContent = words(job);
  };
  const look = async () => {
    let job = null;
    try {
      job = await store.job(recording);
    } catch {
      details.textContent = 'The server cannot be reached.';
      return setTimeout(look, SELDOM);
    }
    if (!job) return (element.hidden = true);
    const over = ENDED.includes(job.state);
    if (!over && !seen) announce(`${name} is being processed.`);
    seen ||= !over;
    if (!over) {
      show(job);
      return setTimeout(look, OFTEN);
    }
    if (job.state === 'done') element.hidden = true;
    else show(job);
    if (seen)
      toast(
        job.state === 'done'
          ? [`${name} is processed.`, ...job.notes].join(' ')
          : `${name}: ${words(job)}`,
      );
    return ended();
  };
  look();
  return true;
}

function words({ state, percent, secondsLeft, error }) {
  if (state === 'queued') return 'Waits to be processed…';
  if (state === 'failed') return `Not processed. ${error ?? ''}`.trim();
  if (state === 'cancelled') return 'Processing was cancelled. The recording is as it was sent.';
  const told = ['Processing'];
  if (percent !== null) told.push(percentInWords(percent, 'en'));
  if (secondsLeft) told.push(`${timeInWords(secondsLeft, 'en')} left`);
  return told.join(' · ');
}

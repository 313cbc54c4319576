/** A bar that follows the server's work on one recording. */

import { announce, toast } from './demo-voice.js';
import { percentInWords, timeInWords } from './resumable-upload-words.js';

const OFTEN = 700;
const SELDOM = 5000;
const ENDED = ['done', 'failed', 'cancelled'];

/**
 * Asks until the work on `recording` has ended, then calls `ended()`; false when there is no work.
 * Work that failed or was called off may be begun again, with what the panel says then.
 */
export function followed(recording, element, { store, options, ended }) {
  const bar = element.querySelector('progress');
  const details = element.querySelector('.details');
  const button = element.querySelector('button');
  const { name } = recording;
  let followed = recording;
  let seen = false;
  bar.setAttribute('aria-label', `Processing of ${name}`);
  if (!recording.statusUrl) return false;

  const offer = (word, act) => {
    button.textContent = word;
    button.setAttribute('aria-label', `${word}: ${name}`);
    button.onclick = () => act().catch((error) => toast(error.message));
  };
  const again = async () => {
    followed = await store.process(followed, options.chosen);
    seen = true;
    look();
  };
  const show = (job) => {
    const over = ENDED.includes(job.state);
    element.hidden = job.state === 'done';
    element.dataset.state = job.state;
    bar.hidden = over;
    if (job.percent === null || job.state === 'queued') bar.removeAttribute('value');
    else bar.value = job.percent;
    details.textContent = words(job);
    if (over) offer('Process again', again);
    else offer('Cancel', () => store.cancelJob(followed));
  };
  const look = async () => {
    let job = null;
    try {
      job = await store.job(followed);
    } catch {
      details.textContent = 'The server cannot be reached.';
      return setTimeout(look, SELDOM);
    }
    if (!job) return (element.hidden = true);
    show(job);
    if (!ENDED.includes(job.state)) {
      if (!seen) announce(`${name} is being processed.`);
      seen = true;
      return setTimeout(look, OFTEN);
    }
    if (seen) toast(job.state === 'done' ? said(name, job) : `${name}: ${words(job)}`);
    seen = false;
    return ended();
  };
  look();
  return true;
}

function said(name, { notes }) {
  return [`${name} is processed.`, ...notes].join(' ');
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

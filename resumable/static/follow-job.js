/** What the server makes of a finished upload, followed until it is done. */

import { ENDED, hearJob } from './job-events.js';
import { delayFrom } from './upload-sizes.js';

const PACE = 1000;

/**
 * The upload's answer with what became of its job; as it was when the server knows of none. The
 * server's events tell it; where there are none, `ask()` does, again and again.
 */
export async function followJob(run, answer, ask, tell, withCredentials) {
  const show = ({ progress }) => {
    run.processed = progress ?? null;
    tell();
  };
  for (let events = Boolean(globalThis.EventSource); ; ) {
    if (events) {
      const { job, heard } = await hear(run, show, withCredentials);
      if (job) return made(answer, job);
      events = heard;
    }
    const told = await ask().catch(unlessGone);
    if (!told?.json) return answer;
    show(told.json);
    if (ENDED.has(told.json.state)) return made(answer, told.json);
    // Also between two hearings: some proxy may end each of them at once.
    await run.sleep(delayFrom(told.header('Retry-After')) ?? PACE);
  }
}

/** A pause or an abort of the upload ends the hearing, as it ends a request. */
async function hear(run, show, withCredentials) {
  const request = {};
  const begun = (stop) => {
    request.abort = stop;
    run.requests.add(request);
  };
  await run.ready();
  try {
    return await hearJob(run.job, { show, begun, withCredentials });
  } finally {
    run.requests.delete(request);
  }
}

function made(answer, { state, results, error }) {
  const processed = state === 'done';
  return { ...answer, processed, state, results, processingError: error ?? null };
}

function unlessGone(error) {
  if (error.status === 404 || error.status === 410) return null;
  throw error;
}

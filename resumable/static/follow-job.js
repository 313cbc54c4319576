/** What the server makes of a finished upload, followed until it is done. */

import { delayFrom } from './upload-sizes.js';

const ENDED = new Set(['done', 'failed', 'cancelled']);
const PACE = 1000;

/** The upload's answer with what became of its job; as it was when the server knows of none. */
export async function followJob(run, answer, ask, tell) {
  for (;;) {
    const told = await ask().catch(unlessGone);
    if (!told?.json) return answer;
    const { state, progress, results, error } = told.json;
    run.processed = progress ?? null;
    tell();
    if (ENDED.has(state)) {
      const processed = state === 'done';
      return { ...answer, processed, state, results, processingError: error ?? null };
    }
    await run.sleep(delayFrom(told.header('Retry-After')) ?? PACE);
  }
}

function unlessGone(error) {
  if (error.status === 404 || error.status === 410) return null;
  throw error;
}

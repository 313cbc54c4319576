/** What the server makes of a finished upload, followed until it is done. */

const ENDED = new Set(['done', 'failed', 'cancelled']);
const PACE = 1000;

/** Resolves with the job's last document, or null when the server knows of none. */
export async function followJob(run, ask, tell) {
  for (;;) {
    const { json, retryAfter } = await ask().catch(unlessGone);
    if (!json) return null;
    tell(json);
    if (ENDED.has(json.state)) return json;
    await run.sleep(retryAfter ?? PACE);
  }
}

function unlessGone(error) {
  if (error.status === 404 || error.status === 410) return {};
  throw error;
}

/** A job's states as the server tells them. */

export const ENDED = new Set(['done', 'failed', 'cancelled']);

/** Milliseconds: the first state comes at once, where no proxy holds it back. */
const FIRST = 5000;
/** Milliseconds: the server ends an answer after 30 s, however little there was to tell. */
const LONGEST = 40_000;

/**
 * Hears the job at `url`: `show(job)` gets each state. Resolves with the last one when the job has
 * ended, with null when the events end before it; `{heard}` says whether there were any.
 * `begun(stop)` is given what ends the hearing.
 */
export function hearJob(url, { show, begun = () => {}, withCredentials = false }) {
  return new Promise((resolve) => {
    const source = new EventSource(url, { withCredentials });
    let timer;
    let heard = false;
    const end = (job = null) => {
      clearTimeout(timer);
      source.close();
      resolve({ job, heard });
    };
    const alive = (span) => {
      clearTimeout(timer);
      timer = setTimeout(end, span);
    };
    source.onmessage = ({ data }) => {
      const job = JSON.parse(data);
      heard = true;
      alive(LONGEST);
      show(job);
      if (ENDED.has(job.state)) end(job);
    };
    // An EventSource would come again by itself; who follows a job asks first what has become of it.
    source.onerror = () => end();
    alive(FIRST);
    begun(() => end());
  });
}

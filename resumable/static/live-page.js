/** What a page owes a running recording: a screen that stays on, a question before it is left. */

const guarded = new Set();
const awake = new Map();

/** Lets the browser ask before it leaves the page, for as long as any `owner` needs it. */
export function guardLeaving(owner, needed) {
  if (needed) guarded.add(owner);
  else guarded.delete(owner);
  // A page with such a listener is not kept for the way back: so only while it is needed.
  removeEventListener('beforeunload', warn);
  if (guarded.size) addEventListener('beforeunload', warn);
}

function warn(event) {
  event.preventDefault();
}

/** Keeps the screen on for `owner`: a screen that sleeps ends a recording on a phone. */
export function keepAwake(owner, needed) {
  if (!navigator.wakeLock || needed === awake.has(owner)) return;
  if (needed) {
    awake.set(owner, null);
    ask();
  } else {
    awake.get(owner)?.then((lock) => lock?.release());
    awake.delete(owner);
  }
  document.removeEventListener('visibilitychange', ask);
  if (awake.size) document.addEventListener('visibilitychange', ask);
}

/** A browser takes the lock away from a page that is out of sight. */
function ask() {
  if (document.hidden) return;
  for (const owner of awake.keys()) {
    awake.set(
      owner,
      navigator.wakeLock.request('screen').catch(() => null),
    );
  }
}

/** How the page speaks: toasts in one polite live region, a question, moments in words. */

const SHOWN = 6000;
const MOST = 3;

/** A toast; screen readers hear it once. */
export function toast(text) {
  speak(text, 'toast');
}

/** For screen readers only: the eye sees the same elsewhere. */
export function announce(text) {
  speak(text, 'visually-hidden');
}

function speak(text, className) {
  const line = document.createElement('p');
  line.className = className;
  line.textContent = text;
  const region = document.getElementById('toasts');
  region.append(line);
  while (region.children.length > MOST) region.firstElementChild.remove();
  setTimeout(() => line.remove(), SHOWN);
}

/** Asks before something is deleted; true when the user means it. */
export function confirmed(title, text, act) {
  const dialog = document.getElementById('question');
  document.getElementById('question-title').textContent = title;
  document.getElementById('question-text').textContent = text;
  document.getElementById('question-go').textContent = act;
  dialog.returnValue = 'keep';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'go'), { once: true });
  });
}

/** 75 -> "1:15". */
export function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
}

/** Milliseconds since 1970 -> "today, 14:05" or "3 Nov 2026, 14:05", in the reader's own way. */
export function momentInWords(moment) {
  const date = new Date(moment);
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const today = date.toDateString() === new Date().toDateString();
  const day = today ? 'today' : date.toLocaleDateString([], { dateStyle: 'medium' });
  return `${day}, ${time}`;
}

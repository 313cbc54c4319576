/** How the page speaks: toasts in one polite live region, sizes and times in words. */

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

/** 1 234 567 -> "1.2 MB". */
export function sizeInWords(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${value.toFixed(unit && value < 100 ? 1 : 0)} ${units[unit]}`;
}

/** 130 -> "2 min 10 s"; whole seconds, at least one. */
export function timeInWords(seconds) {
  const whole = Math.max(1, Math.ceil(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}

/** 75 -> "1:15". */
export function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
}

/** Unix seconds -> "today, 14:05" or "3 Nov 2026, 14:05", in the reader's own way. */
export function momentInWords(unixSeconds) {
  const date = new Date(unixSeconds * 1000);
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const today = date.toDateString() === new Date().toDateString();
  const day = today ? 'today' : date.toLocaleDateString([], { dateStyle: 'medium' });
  return `${day}, ${time}`;
}

/** What `<resumable-upload>` says: every string of it, and sizes and times in the page's language. */

/** Replace any of them in `element.strings`; functions get what they speak of. */
export const STRINGS = {
  choose: 'Choose a file',
  chooseMany: 'Choose files',
  drop: 'or drop it here',
  dropMany: 'or drop them here',
  list: 'Uploads',
  pause: 'Pause',
  resume: 'Resume',
  retry: 'Try again',
  now: 'Try now',
  again: 'Choose file',
  cancel: 'Cancel',
  remove: 'Remove',
  /** The name of a button for those who hear it. */
  action: (word, name) => `${word}: ${name}`,
  progress: (name) => `Upload of ${name}`,
  waiting: 'Waiting its turn…',
  hashing: 'Reading the file…',
  asking: 'Asking the server…',
  finalizing: 'Putting the file together…',
  processing: 'Processing…',
  paused: 'Paused.',
  done: 'Uploaded.',
  blobless: 'Choose the same file again to go on.',
  amount: (loaded, total) => `${loaded} of ${total}`,
  speed: (size) => `${size}/s`,
  left: (time) => `${time} left`,
  offline: 'No network.',
  unreachable: 'The server cannot be reached.',
  retryIn: (seconds) => `Trying again in ${seconds} s.`,
  retryOnline: 'It goes on when there is one.',
  retrying: 'Trying again…',
  tooLarge: (name, size, most) =>
    `${name} is too large: it has ${size}, at most ${most} are taken.`,
  wrongType: (name) => `${name} is not of a kind that is taken here.`,
  onlyOne: 'Only one file is taken here.',
  required: 'Choose a file.',
  unfinished: 'Wait until the upload is finished.',
  saidStarted: (name) => `Upload of ${name} has started.`,
  saidStep: (name, percent) => `${name}: ${percent} percent.`,
  saidPaused: (name) => `${name} is paused.`,
  saidWaiting: (name, cause) => `${name}: ${cause} The upload goes on by itself.`,
  saidConnected: (name) => `Connected again. ${name} goes on.`,
  saidDone: (name) => `${name} is uploaded.`,
  saidFailed: (name, cause) => `${name} was not uploaded. ${cause}`,
  saidCancelled: (name) => `${name} is cancelled.`,
};

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

/** 1 234 567 -> "1.2 MB", as the language writes it. */
export function sizeInWords(bytes, language) {
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < UNITS.length - 1; unit += 1) value /= 1000;
  const digits = unit && value < 100 ? 1 : 0;
  return inUnit(value, UNITS[unit], language, digits, unit ? 'short' : 'long');
}

/** 130 -> "2 min 10 sec"; whole seconds, at least one. */
export function timeInWords(seconds, language) {
  const whole = Math.max(1, Math.ceil(seconds));
  const parts = [
    [Math.floor(whole / 3600), 'hour'],
    [Math.floor(whole / 60) % 60, 'minute'],
    [whole < 3600 ? whole % 60 : 0, 'second'],
  ];
  const told = parts.filter(([value]) => value);
  return told.map(([value, unit]) => inUnit(value, unit, language, 0, 'short')).join(' ');
}

export function percentInWords(percent, language) {
  return format(language, { style: 'percent' }).format(Math.floor(percent) / 100);
}

function inUnit(value, unit, language, digits, unitDisplay) {
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return format(language, { style: 'unit', unit, unitDisplay, ...fraction }).format(value);
}

/** A page may name a language that is none. */
function format(language, options) {
  try {
    return new Intl.NumberFormat(language || undefined, options);
  } catch {
    return new Intl.NumberFormat(undefined, options);
  }
}

/** Where pictures and sound come from, and the kind of file that this browser makes of them. */

const PICTURE = { frameRate: { ideal: 30 }, width: { ideal: 1920 }, height: { ideal: 1080 } };
const OPENERS = { screen: 'getDisplayMedia', camera: 'getUserMedia', microphone: 'getUserMedia' };
const TITLES = { screen: 'Screen', camera: 'Camera', microphone: 'Sound' };
const ENDINGS = {
  'video/mp4': '.mp4',
  'audio/mp4': '.m4a',
  'audio/ogg': '.ogg',
  'video/x-matroska': '.mkv',
};
const TYPES = {
  video: ['video/webm;codecs=vp8,opus', 'video/webm;codecs=vp9,opus', 'video/webm', 'video/mp4'],
  audio: ['audio/webm;codecs=opus', 'audio/webm', 'audio/mp4', 'audio/ogg'],
};

/** Which of 'screen', 'camera' and 'microphone' this browser can record on this page. */
export function supportedSources() {
  const devices = globalThis.navigator?.mediaDevices;
  if (!devices || !globalThis.MediaRecorder) return [];
  return Object.keys(OPENERS).filter((source) => OPENERS[source] in devices);
}

/**
 * A recorder that has not begun, from a source's name, a MediaStream or a MediaRecorder, as
 * `{recorder, title, own}`; an `own` stream is ended with the recording. Rejects as the browser does
 * when the user says no.
 */
export async function openSource(source, settings) {
  if (source instanceof MediaRecorder) {
    if (source.state === 'inactive') return { recorder: source, title: 'Recording', own: false };
    throw new TypeError('The MediaRecorder runs already: its first slices would be lost.');
  }
  if (source instanceof MediaStream) {
    return { recorder: recorderFor(source, settings), title: 'Recording', own: false };
  }
  if (!supportedSources().includes(source)) {
    throw new TypeError(`This browser cannot record "${source}" here.`);
  }
  const stream = await navigator.mediaDevices[OPENERS[source]](wishes(source, settings));
  return { recorder: recorderFor(stream, settings), title: TITLES[source], own: true };
}

/** "Screen 2026-11-27 18.30.05.webm" */
export function nameFor(title, type) {
  const now = new Date();
  const two = (number) => String(number).padStart(2, '0');
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('.');
  return `${title} ${day} ${time}${ENDINGS[type.split(';')[0]] ?? '.webm'}`;
}

function wishes(source, { constraints }) {
  return { video: source === 'microphone' ? false : PICTURE, audio: true, ...constraints };
}

function recorderFor(stream, { mimeType, recorderOptions }) {
  const kind = stream.getVideoTracks().length ? 'video' : 'audio';
  const known = mimeType ?? TYPES[kind].find((type) => MediaRecorder.isTypeSupported(type));
  return new MediaRecorder(stream, { mimeType: known, ...recorderOptions });
}

/** Records the screen or the camera in slices of one second, each handed out as it comes. */

const SLICE = 1000;
const PICTURE = { frameRate: { ideal: 30 }, width: { ideal: 1920 }, height: { ideal: 1080 } };
const TYPES = ['video/webm;codecs=vp8,opus', 'video/webm;codecs=vp9,opus', 'video/webm', 'video/mp4'];
const ENDINGS = { 'video/mp4': '.mp4', 'video/x-matroska': '.mkv' };

/** Which sources this browser can record: 'screen', 'camera'. */
export function sources() {
  const devices = navigator.mediaDevices;
  if (!devices || !globalThis.MediaRecorder) return [];
  return ['screen', 'camera'].filter((source) => opener(source) in devices);
}

function opener(source) {
  return source === 'screen' ? 'getDisplayMedia' : 'getUserMedia';
}

/**
 * Starts a recording; rejects when the user says no. `onSlice(blob)` comes once a second,
 * `onEnd()` once, after the last slice, whoever stopped it: the page or the browser's own bar.
 */
export async function record(source, { preferCurrentTab = false, onSlice, onEnd }) {
  const wish = { video: PICTURE, audio: true };
  if (source === 'screen') wish.preferCurrentTab = preferCurrentTab;
  const stream = await navigator.mediaDevices[opener(source)](wish);
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { mimeType });
  const stop = () => recorder.state !== 'inactive' && recorder.stop();
  recorder.ondataavailable = ({ data }) => data.size && onSlice(data);
  recorder.onstop = () => {
    for (const track of stream.getTracks()) track.stop();
    onEnd();
  };
  stream.getVideoTracks()[0].addEventListener('ended', stop);
  recorder.start(SLICE);
  const type = recorder.mimeType || mimeType;
  return { stream, stop, type, name: nameFor(source, type) };
}

function nameFor(source, type) {
  const now = new Date();
  const two = (number) => String(number).padStart(2, '0');
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('.');
  const title = source === 'screen' ? 'Screen' : 'Camera';
  return `${title} ${day} ${time}${ENDINGS[type.split(';')[0]] ?? '.webm'}`;
}

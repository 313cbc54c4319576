/** The Worker of file-digest.js. */

import { digestHere } from './file-digest.js';

globalThis.onmessage = ({ data }) =>
  digestHere(data).then(
    (hex) => globalThis.postMessage({ hex }),
    (error) => globalThis.postMessage({ error: error.message }),
  );

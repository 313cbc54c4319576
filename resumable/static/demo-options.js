/** The processing panel: options for the server, a picture of what they do, kept for the next visit. */

const KEY = 'resumable-demo-options';
const ICON_SIZE = 64;

export class Options {
  #form = document.getElementById('options');
  #iconImage = null;
  /** Whether the server processes at all. */
  able = false;

  constructor() {
    this.#recall();
    this.#form.addEventListener('input', () => this.#changed());
    this.#form.elements.iconFile.addEventListener('change', ({ target }) =>
      this.#pick(target.files[0]),
    );
    this.#show();
    this.#ownIcon().catch(() => {});
  }

  /** Shows the panel where the server can process. */
  offer(able) {
    this.able = able;
    document.getElementById('processing').hidden = !able;
  }

  /** What goes with an upload; nothing where it would be of no use. */
  get chosen() {
    if (!this.able) return {};
    const chosen = this.#values();
    const options = { convertToMp4: chosen.convertToMp4, poster: true };
    for (const name of ['frame', 'label', 'icon']) {
      if (!chosen[name]) continue;
      for (const [key, value] of Object.entries(chosen)) {
        if (key.startsWith(name) && value !== null) options[key] = value;
      }
    }
    return options;
  }

  #values() {
    const { elements } = this.#form;
    const value = (name) => elements[name].value;
    const checked = (name) => elements[name].checked;
    return {
      convertToMp4: checked('convertToMp4'),
      frame: checked('frame'),
      frameSize: Number(value('frameSize')),
      frameColorStart: value('frameColorStart'),
      frameColorEnd: value('frameColorEnd'),
      label: checked('label') && value('labelText').trim() !== '',
      labelText: value('labelText').trim(),
      icon: checked('icon'),
      iconOpacity: Number(value('iconOpacity')),
      iconImage: this.#iconImage,
    };
  }

  #changed() {
    this.#show();
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#values()));
    } catch {
      // Without a storage the panel forgets, and that is all.
    }
  }

  #recall() {
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      // Nothing kept, or nothing that can be read.
    }
    this.#iconImage = kept.iconImage ?? null;
    for (const [name, value] of Object.entries(kept)) {
      const field = this.#form.elements[name];
      if (field?.type === 'checkbox') field.checked = value;
      else if (field) field.value = value;
    }
  }

  async #pick(file) {
    if (!file) return;
    const source = URL.createObjectURL(file);
    const image = await pictureOf(source).catch(() => null);
    if (image) {
      const scale = Math.min(1, ICON_SIZE / Math.max(image.naturalWidth, image.naturalHeight));
      this.#iconImage = shrunk(image, image.naturalWidth * scale, image.naturalHeight * scale);
      this.#form.elements.icon.checked = true;
      this.#changed();
    }
    URL.revokeObjectURL(source);
  }

  /** Until the user picks one, the page's own. */
  async #ownIcon() {
    if (this.#iconImage) return;
    const { href } = document.querySelector('link[rel=icon]');
    this.#iconImage = shrunk(await pictureOf(href), ICON_SIZE, ICON_SIZE);
    this.#show();
  }

  #show() {
    const values = this.#values();
    const { elements } = this.#form;
    for (const shown of this.#form.querySelectorAll('[data-shows]')) {
      shown.textContent = values[shown.dataset.shows];
    }
    for (const more of this.#form.querySelectorAll('[data-of]')) {
      more.hidden = !elements[more.dataset.of].checked;
    }
    const words = [
      values.convertToMp4 && 'MP4',
      values.frame && 'frame',
      values.label && 'label',
      values.icon && 'icon',
    ].filter(Boolean);
    document.getElementById('processing-summary').textContent = words.join(', ') || 'none';
    this.#draw(values).catch(() => {});
  }

  /** The same places and sizes as in a video of 960 x 540, at half the size. */
  async #draw(values) {
    const canvas = document.getElementById('picture');
    const image = values.icon && values.iconImage ? await pictureOf(values.iconImage) : null;
    const frame = values.frame ? values.frameSize : 0;
    const [width, height] = [960 + 2 * frame, 540 + 2 * frame];
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext('2d');
    context.fillStyle = gradient(context, height, values.frameColorStart, values.frameColorEnd);
    context.fillRect(0, 0, width, height);
    context.translate(frame, frame);
    drawVideo(context);
    if (image) {
      context.globalAlpha = values.iconOpacity / 100;
      context.drawImage(image, 960 - 16 - 48, 540 - (values.label ? 60 : 16) - 48, 48, 48);
      context.globalAlpha = 1;
    }
    if (values.label) drawLabel(context, values.labelText);
  }
}

function gradient(context, height, start, end) {
  const colors = context.createLinearGradient(0, 0, 0, height);
  colors.addColorStop(0, start);
  colors.addColorStop(1, end);
  return colors;
}

function drawVideo(context) {
  context.fillStyle = '#24303f';
  context.fillRect(0, 0, 960, 540);
  context.fillStyle = '#3b4a5d';
  context.fillRect(60, 70, 840, 60);
  context.fillRect(60, 160, 380, 300);
  context.fillRect(480, 160, 420, 60);
  context.fillRect(480, 240, 420, 60);
}

function drawLabel(context, text) {
  context.font = 'bold 24px Arial, sans-serif';
  context.textAlign = 'right';
  context.lineWidth = 4;
  context.strokeStyle = '#000';
  context.strokeText(text, 940, 520);
  context.fillStyle = '#fff';
  context.fillText(text, 940, 520);
}

/** Icons are small: the server takes 64 KiB. */
function shrunk(image, width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL('image/png');
}

async function pictureOf(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

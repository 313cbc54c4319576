/** How `<resumable-upload>` looks; the page sets the variables and the parts. */

const TEXT = `
:host {
  --_accent: var(--resumable-accent, #1f5fbf);
  --_danger: var(--resumable-danger, #b3261e);
  --_warn: var(--resumable-warn, #8a5a00);
  --_line: var(--resumable-line, color-mix(in srgb, currentColor 25%, transparent));
  --_soft: var(--resumable-soft, color-mix(in srgb, currentColor 80%, transparent));
  --_track: var(--resumable-track, color-mix(in srgb, currentColor 14%, transparent));
  --_hover: var(--resumable-hover, color-mix(in srgb, currentColor 7%, transparent));
  --_button: var(--resumable-button, transparent);
  --_radius: var(--resumable-radius, 8px);
  display: block;
  line-height: 1.5;
}
@supports (color: light-dark(red, red)) {
  :host {
    --_accent: var(--resumable-accent, light-dark(#1f5fbf, #8ab4f8));
    --_danger: var(--resumable-danger, light-dark(#b3261e, #ff9d94));
    --_warn: var(--resumable-warn, light-dark(#8a5a00, #f2c46d));
  }
}
:host([hidden]), [hidden] { display: none !important; }
*, *::before, *::after { box-sizing: border-box; }
.drop {
  display: block;
  padding: 1.5rem 1rem;
  border: 2px dashed var(--_line);
  border-radius: var(--_radius);
  color: var(--_soft);
  text-align: center;
  cursor: pointer;
  transition: background-color 120ms, border-color 120ms;
}
.drop strong {
  color: var(--_accent);
  font-weight: 600;
  text-decoration: underline;
  text-underline-offset: 0.2em;
}
.drop:hover, .over { border-color: var(--_accent); background: var(--_hover); }
.over { border-style: solid; }
.drop:has(:disabled) { opacity: 0.6; cursor: not-allowed; }
.drop:focus-within:has(:focus-visible), button:focus-visible {
  outline: 3px solid var(--_accent);
  outline-offset: 2px;
}
.list { margin: 0; padding: 0; list-style: none; }
.row { padding-block: 0.875rem; border-block-start: 1px solid var(--_line); }
.row:first-child { margin-block-start: 0.5rem; border-block-start: 0; }
.row:last-child { padding-block-end: 0; }
.line {
  display: flex;
  align-items: center;
  justify-content: space-between;
  gap: 0.25rem 1rem;
}
.name {
  min-inline-size: 0;
  overflow: hidden;
  font-weight: 550;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.percent, .details { color: var(--_soft); font-size: 0.9375em; font-variant-numeric: tabular-nums; }
.percent { flex: none; }
.details { margin: 0; overflow-wrap: anywhere; }
.bar {
  block-size: 0.625rem;
  margin-block: 0.5rem;
  border-radius: 99px;
  overflow: hidden;
  background: var(--_track);
}
.fill {
  block-size: 100%;
  inline-size: 0;
  border-radius: inherit;
  background: var(--_fill, var(--_accent));
  transition: inline-size 200ms linear;
}
.buttons { display: flex; flex: none; gap: 0.5rem; }
button {
  min-block-size: 2.25rem;
  padding: 0.25rem 0.75rem;
  border: 1px solid var(--_line);
  border-radius: var(--_radius);
  background: var(--_button);
  color: inherit;
  font: inherit;
  font-size: 0.9375em;
  font-weight: 550;
  cursor: pointer;
  transition: background-color 120ms, border-color 120ms;
}
button:hover { border-color: var(--_accent); background: var(--_hover); }
.row:is([data-state=retrying], [data-state=blobless]) { --_fill: var(--_warn); }
.row:is([data-state=retrying], [data-state=blobless]) .details { color: var(--_warn); }
.row[data-state=failed] { --_fill: var(--_danger); }
.row[data-state=failed] .details, .refused { color: var(--_danger); }
.row[data-state=paused] { --_fill: var(--_soft); }
.refused { margin: 0.5rem 0 0; }
.refused:empty { display: none; }
.hidden {
  position: absolute;
  inline-size: 1px;
  block-size: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
.base { position: relative; }
@container (max-width: 30rem) {
  .line:has(.buttons) { flex-direction: column; align-items: stretch; gap: 0.625rem; }
  .buttons > * { flex: 1; min-block-size: 2.75rem; }
}
.base { container-type: inline-size; }
@media (prefers-reduced-motion: reduce) {
  * { transition: none !important; }
}
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .fill { background: Highlight; forced-color-adjust: none; }
}
`;

let sheet;

/** One sheet for all elements; made by script, so that no Content-Security-Policy is in its way. */
export function style() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(TEXT);
  }
  return sheet;
}

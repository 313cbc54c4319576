import type {
  ChunkedUploaderOptions,
  FinishedUpload,
  UploadError,
  UploadProgress,
} from './chunked-upload.js';

export type UploadState =
  'queued' | 'uploading' | 'finalizing' | 'paused' | 'retrying' | 'blobless' | 'failed' | 'done';

/** With tus only `url`. */
export type UploadResult = Partial<FinishedUpload> & { url: string };

export interface ListedUpload {
  id: string;
  name: string;
  /** As "holiday/beach.jpg" where it came in a folder, else ''. Metadata of the file. */
  relativePath: string;
  /** Bytes. */
  size: number;
  state: UploadState;
  progress: UploadProgress | null;
  result: UploadResult | null;
  error: Error | null;
}

interface AboutFile {
  id: string;
  name: string;
  /** As "holiday/beach.jpg" where it came in a folder, else ''. */
  relativePath: string;
  /** Null after a reload, until the user has chosen the file again. */
  file: File | null;
}

/** All bubble, also out of shadow trees. `change` comes when `value` has changed. */
export interface ResumableUploadEvents {
  'upload-start': CustomEvent<AboutFile>;
  'upload-progress': CustomEvent<AboutFile & UploadProgress>;
  'upload-finish': CustomEvent<AboutFile & UploadResult>;
  'upload-error': CustomEvent<AboutFile & { error: Error | UploadError }>;
  'upload-remove': CustomEvent<{ id: string; name: string; result: UploadResult | null }>;
}

/** Any of them may be replaced; a function gets the name, figure or cause that it tells. */
export interface UploadStrings {
  [name: string]: string | ((...told: any[]) => string);
}

/**
 * The element `<resumable-upload>`.
 *
 * Parts: base, drop, list, row, name, percent, bar, fill, details, buttons, button, refused.
 * Variables: --resumable-accent, -danger, -warn, -line, -soft, -track, -hover, -button, -radius.
 */
export class ResumableUpload extends HTMLElement {
  static readonly formAssociated: true;
  /** Attribute `endpoint`. Default: where this module came from; with tus, `/files/` there. */
  endpoint: string;
  /** Attribute `protocol`: 'chunks' (also when empty) or 'tus'. */
  protocol: string;
  /** Attribute `name`: under it the form gets the path of each finished file. */
  name: string;
  /** Attribute `accept`, as of `<input type="file">`; dropped files must fit too. */
  accept: string;
  multiple: boolean;
  disabled: boolean;
  required: boolean;
  /** Choose folders instead of files. */
  directory: boolean;
  /** Keep files in this browser, so that a reload goes on by itself. */
  keep: boolean;
  /** Attribute `max-size`: bytes that one file may have. Default Infinity. */
  maxSize: number;
  options: Record<string, unknown>;
  headers: Record<string, string> | (() => Record<string, string>);
  settings: ChunkedUploaderOptions & Record<string, unknown>;
  get strings(): UploadStrings;
  set strings(strings: UploadStrings);
  readonly form: HTMLFormElement | null;
  readonly labels: NodeList;
  readonly validity: ValidityState;
  readonly validationMessage: string;
  /** The path of the first finished file, or ''. */
  readonly value: string;
  readonly values: string[];
  readonly uploads: ListedUpload[];
  checkValidity(): boolean;
  reportValidity(): boolean;
  add(files: Iterable<File>): void;
  /** All of these take one upload's id; without it they mean every one. */
  pause(id?: string): void;
  resume(id?: string): void;
  retry(id?: string): void;
  cancel(id?: string): void;

  addEventListener<Type extends keyof ResumableUploadEvents>(
    type: Type,
    listener: (event: ResumableUploadEvents[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'resumable-upload': ResumableUpload;
  }
}

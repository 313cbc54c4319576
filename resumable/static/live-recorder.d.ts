import type { FinishedUpload, UploadError, UploadRetry } from './chunked-upload.js';

export type LiveSource = 'screen' | 'camera' | 'microphone';

export type LiveProtocol = 'chunks' | 'tus';

export type LiveState =
  'idle' | 'recording' | 'paused' | 'finishing' | 'done' | 'failed' | 'discarded';

export interface LiveLineSettings {
  /** Bytes that one request carries at most. Default 8 MiB; it grows from 256 KiB with the speed. */
  chunkSize?: number;
  /** Milliseconds without a byte moving before a request counts as lost. Default 60 000. */
  timeout?: number;
  /** Milliseconds; doubled with every failure, then a random part of it is waited. Default 1000. */
  retryDelay?: number;
  /** Milliseconds; the longest wait of our own. Retry-After may ask for more. Default 30 000. */
  maxRetryDelay?: number;
}

export interface LiveRecorderSettings {
  /** Default 'chunks'. 'tus': any tus 1.0.0 server that takes uploads without a length. */
  protocol?: LiveProtocol;
  /**
   * What stands before `/upload-chunk`, or with tus where uploads are made. Default: where this
   * module came from, and `/files/` there.
   */
  endpoint?: string;
  /** With tus: more `Upload-Metadata`, beside `filename` and `filetype`. */
  metadata?: Record<string, string>;
  /** Headers for every request, or a function that is asked before each one. */
  headers?: Record<string, string> | (() => Record<string, string>);
  /** Send cookies to another origin. Default false. */
  withCredentials?: boolean;
  /** Milliseconds. Default 1000: what a crash of the browser can cost at most. */
  sliceDuration?: number;
  /** Default: the first that the browser can make of WebM with VP8, with VP9, MP4. */
  mimeType?: string;
  /** More options for the MediaRecorder, such as `videoBitsPerSecond`. */
  recorderOptions?: MediaRecorderOptions;
  /** Laid over the constraints for the screen, the camera or the microphone. */
  constraints?: DisplayMediaStreamOptions & MediaStreamConstraints & { preferCurrentTab?: boolean };
  /** Processing options for the server; tus has none. */
  options?: Record<string, unknown>;
  /** Keep the screen on while recording. Default true. */
  wakeLock?: boolean;
  /** Let the browser ask before it leaves the page while that would lose something. Default true. */
  guard?: boolean;
  line?: LiveLineSettings;
}

/** A recording of this browser that the server does not have whole. */
export interface UnfinishedRecording {
  id: string;
  endpoint: string;
  /** Missing in what `RecordingStore.keep` put aside. */
  protocol?: LiveProtocol;
  name: string;
  type: string;
  options: Record<string, unknown>;
  /** With tus the upload's URL, once there is one. */
  uploadId: string | null;
  /** Milliseconds since 1970. */
  created: number;
  /** Bytes recorded, and how many of them are still here. */
  size: number;
  kept: number;
  /** Seconds. */
  duration: number;
  /** False: the page went away before the recording was stopped. */
  ended: boolean;
  /** Why the server refused it. */
  failure?: string;
}

export interface LiveRecorderEvents {
  statechange: CustomEvent<null>;
  /** There is a new slice, or the server has acknowledged more. */
  progress: CustomEvent<null>;
  retry: CustomEvent<UploadRetry>;
  /** Something that does not end the recording: no room to keep slices, no more room there. */
  warning: CustomEvent<{ error: Error }>;
  finish: CustomEvent<FinishedUpload>;
  error: CustomEvent<{ error: Error | UploadError }>;
}

/** Records once, and uploads while it records. */
export class LiveRecorder extends EventTarget {
  constructor(settings?: LiveRecorderSettings);
  static sources(): LiveSource[];
  static unfinished(settings?: {
    endpoint?: string;
    protocol?: LiveProtocol;
  }): Promise<UnfinishedRecording[]>;
  static resume(id: string, settings?: LiveRecorderSettings): LiveRecorder;
  static discard(id: string, settings?: LiveRecorderSettings): Promise<void>;

  readonly state: LiveState;
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly endpoint: string;
  readonly protocol: LiveProtocol;
  readonly stream: MediaStream | null;
  /** Bytes recorded. */
  readonly size: number;
  /** Bytes from the start that the server has promised to keep. */
  readonly acknowledged: number;
  /** Bytes that it has not. */
  readonly pending: number;
  /** Seconds, without pauses. */
  readonly duration: number;
  readonly error: Error | null;
  /** With tus `path` is the URL, too. Rejects with an UploadError, or a DOMException: AbortError, NotReadableError. */
  readonly finished: Promise<FinishedUpload>;
  /** May be changed until the recording ends. */
  options: Record<string, unknown>;

  start(
    source?: LiveSource | MediaStream | MediaRecorder,
    about?: { name?: string; options?: Record<string, unknown> },
  ): Promise<void>;
  pause(): void;
  resume(): void;
  stop(): Promise<FinishedUpload>;
  hold(): void;
  send(): void;
  discard(): Promise<void>;

  addEventListener<Type extends keyof LiveRecorderEvents>(
    type: Type,
    listener: (event: LiveRecorderEvents[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
